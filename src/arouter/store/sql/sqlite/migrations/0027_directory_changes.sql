-- Compatible: what changed with each of the last revisions of the directory; a revision without a row may have changed
-- anything. subject is the word before the dot of the audit log's action, target_id what was changed.
CREATE TABLE directory_changes (
    revision INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    target_id TEXT NOT NULL
) STRICT;
