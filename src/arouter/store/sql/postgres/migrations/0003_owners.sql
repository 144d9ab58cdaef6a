-- The processes that may have open records and leases, by the clock of the server. seen_at is NULL for one that has
-- ended in peace and left something behind.
CREATE TABLE owners (
    no INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host TEXT COLLATE "C" NOT NULL,
    process_id INTEGER NOT NULL,
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    seen_at TIMESTAMPTZ DEFAULT clock_timestamp()
);
