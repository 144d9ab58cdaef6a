-- One index of leases instead of two: of what was recalled, which is asked for four times a second. What has ended is
-- looked for along the tables, every ten seconds.
DROP INDEX leases_by_owner;
DROP INDEX leases_by_end;
DROP INDEX counter_uses_by_end;
CREATE INDEX recalled_leases ON leases (owner_no) WHERE recalled = 1;
