-- Who changed what. An organization's entries are numbered from 1; the hash covers an entry and the hash before it.
CREATE TABLE audit (
    organization_id TEXT NOT NULL,
    no INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    request_id TEXT,
    action TEXT NOT NULL,
    target_id TEXT,
    before TEXT,
    after TEXT,
    hash BLOB NOT NULL,
    PRIMARY KEY (organization_id, no)
) STRICT, WITHOUT ROWID;
