-- A record's id in an index makes it twice as long, and orders only those of one microsecond.

DROP INDEX records_by_time;
DROP INDEX records_by_user;
DROP INDEX records_by_key;
CREATE INDEX records_by_time ON records (organization_no, created_at_us);
CREATE INDEX records_by_user ON records (organization_no, user_no, created_at_us);
CREATE INDEX records_by_key ON records (key_no, created_at_us);
