-- Compatible: what changed with each of the last revisions of the directory, as a list of actions of the audit log, each
-- with its organization and the id of what it was done to; a revision without a row may have changed anything.
CREATE TABLE directory_changes (
    revision BIGINT PRIMARY KEY,
    things TEXT COLLATE "C" NOT NULL
);
