-- Compatible: what changed with each of the last revisions of the directory; a revision without a row may have changed
-- anything. subject is the word before the dot of the audit log's action, target_id what was changed.
CREATE TABLE directory_changes (
    revision BIGINT PRIMARY KEY,
    subject TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL
);
