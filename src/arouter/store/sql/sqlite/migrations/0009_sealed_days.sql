-- Past days of records move into blocks of columns. What refers to a record by its seq outlives its row, so those
-- references go. What requests on own keys cost is kept as a sum, since it was added up from rows.

CREATE TABLE sealed_days (
    no INTEGER PRIMARY KEY,
    organization_no INTEGER NOT NULL REFERENCES names (no),
    day INTEGER NOT NULL,
    state INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    records INTEGER NOT NULL,
    UNIQUE (organization_no, day)
) STRICT;

CREATE INDEX sealed_days_in_change ON sealed_days (state) WHERE state <> 2;

CREATE TABLE time_blocks (
    no INTEGER PRIMARY KEY,
    day_no INTEGER NOT NULL REFERENCES sealed_days (no),
    organization_no INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    records INTEGER NOT NULL,
    workspaces INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    models INTEGER NOT NULL,
    providers INTEGER NOT NULL,
    endpoints INTEGER NOT NULL,
    statuses INTEGER NOT NULL,
    present INTEGER NOT NULL,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX time_blocks_by_time ON time_blocks (organization_no, first_us);
CREATE INDEX time_blocks_by_day ON time_blocks (day_no);

CREATE TABLE user_blocks (
    no INTEGER PRIMARY KEY,
    day_no INTEGER NOT NULL REFERENCES sealed_days (no),
    organization_no INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    day INTEGER NOT NULL,
    part INTEGER NOT NULL,
    users INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    records INTEGER NOT NULL,
    present INTEGER NOT NULL,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX user_blocks_by_user ON user_blocks (
    organization_no, bucket, day, part, users, first_us, last_us, day_no
);
CREATE INDEX user_blocks_by_day ON user_blocks (day_no);

CREATE TABLE sealed_ids (
    id TEXT PRIMARY KEY,
    day_no INTEGER NOT NULL REFERENCES sealed_days (no),
    created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sealed_ids_by_day ON sealed_ids (day_no);

CREATE TABLE expired_days (
    organization_no INTEGER NOT NULL REFERENCES names (no),
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    requests_without_usage INTEGER NOT NULL,
    requests_without_price INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    requests_with_latency INTEGER NOT NULL,
    PRIMARY KEY (organization_no, day)
) STRICT, WITHOUT ROWID;

ALTER TABLE organizations ADD COLUMN retention_days INTEGER;

ALTER TABLE batches ADD COLUMN blocks_of INTEGER;

CREATE TABLE adjustments_without_rows (
    no INTEGER PRIMARY KEY,
    batch_no INTEGER NOT NULL REFERENCES batches (no),
    record_seq INTEGER NOT NULL,
    written_at_us INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    created_at_us INTEGER NOT NULL,
    kind_no INTEGER NOT NULL REFERENCES names (no),
    cost INTEGER,
    price_source_no INTEGER REFERENCES names (no),
    price_version_no INTEGER REFERENCES names (no),
    reason TEXT NOT NULL,
    author TEXT
) STRICT;

INSERT INTO adjustments_without_rows
SELECT no, batch_no, record_seq, written_at_us, id, created_at_us, kind_no, cost, price_source_no, price_version_no,
    reason, author
FROM adjustments ORDER BY no;

CREATE TABLE adjusted_without_rows (
    adjusted_seq INTEGER PRIMARY KEY,
    adjustment_no INTEGER NOT NULL REFERENCES adjustments (no),
    adjusted_at_us INTEGER NOT NULL,
    adjusted_cost INTEGER
) STRICT;

INSERT INTO adjusted_without_rows
SELECT adjusted_seq, adjustment_no, adjusted_at_us, adjusted_cost FROM adjusted ORDER BY adjusted_seq;

CREATE TABLE own_key_hours (
    key_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    PRIMARY KEY (key_no, hour)
) STRICT, WITHOUT ROWID;

INSERT INTO own_key_hours
SELECT key_no, created_at_us / 3600000000,
    coalesce(sum(iif(adjusted_seq IS NULL, cost, adjusted_cost) / 1000000), 0),
    coalesce(sum(iif(adjusted_seq IS NULL, cost, adjusted_cost) % 1000000), 0)
FROM records INDEXED BY records_on_own_keys LEFT JOIN adjusted ON adjusted_seq = seq
WHERE is_byok = 1 GROUP BY 1, 2;

DROP INDEX records_on_own_keys;
DROP TABLE adjusted;
DROP TABLE adjustments;
ALTER TABLE adjustments_without_rows RENAME TO adjustments;
ALTER TABLE adjusted_without_rows RENAME TO adjusted;
CREATE INDEX adjustments_by_record ON adjustments (record_seq, no);
CREATE INDEX adjustments_by_batch ON adjustments (batch_no, no);
