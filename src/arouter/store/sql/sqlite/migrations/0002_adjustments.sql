-- Adjustments of costs, and the tier of service that a price depends on.

ALTER TABLE records ADD COLUMN service_tier_no INTEGER REFERENCES names (no);

-- What is said of a record's cost after it was written. Appended once, never changed; no gives the order, and the
-- last one of a record holds. The hash of the batch covers them.
CREATE TABLE adjustments (
    no INTEGER PRIMARY KEY,
    batch_no INTEGER NOT NULL REFERENCES batches (no),
    record_seq INTEGER NOT NULL REFERENCES records (seq),
    written_at_us INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    created_at_us INTEGER NOT NULL,
    kind_no INTEGER NOT NULL REFERENCES names (no),
    cost INTEGER,
    price_source_no INTEGER REFERENCES names (no),
    price_version_no INTEGER REFERENCES names (no),
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX adjustments_by_record ON adjustments (record_seq, no);
CREATE INDEX adjustments_by_batch ON adjustments (batch_no, no);

-- The last adjustment of each record that has any: what a query joins with the records.
CREATE TABLE adjusted (
    adjusted_seq INTEGER PRIMARY KEY REFERENCES records (seq),
    adjustment_no INTEGER NOT NULL REFERENCES adjustments (no),
    adjusted_at_us INTEGER NOT NULL,
    adjusted_cost INTEGER
) STRICT;
