-- How far a copy of another database into this one has come: source tells which one that is, position where its ledger
-- goes on. No gateway starts before the copy is complete.
CREATE TABLE copies (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    source TEXT COLLATE "C" NOT NULL,
    position TEXT COLLATE "C" NOT NULL,
    complete BOOLEAN NOT NULL
);
