-- A journal: what one process could not give to its ledger. Records and openings are JSON, so that people can read them.

-- Records that wait, in the order of their closing.
CREATE TABLE records (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    closed_at_us INTEGER NOT NULL,
    -- 1 if the ledger may know from elsewhere that the request ran, and may have closed it as interrupted.
    known INTEGER NOT NULL,
    body TEXT NOT NULL
);

-- Requests that run, or ran when the process died.
CREATE TABLE openings (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

-- Records that the ledger refused for good.
CREATE TABLE set_aside (
    id TEXT PRIMARY KEY,
    set_aside_at_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
