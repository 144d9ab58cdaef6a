-- How far a copy of another database into this one has come: source tells which one that is, position where its ledger
-- goes on. No gateway starts before the copy is complete.
CREATE TABLE copies (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    source TEXT COLLATE "C" NOT NULL,
    position TEXT COLLATE "C" NOT NULL,
    complete BOOLEAN NOT NULL
);

-- What was noted of records that had expired in the database that this one was copied from. Their sums are in rollups.
CREATE TABLE expired_days (
    organization_id TEXT COLLATE "C" NOT NULL,
    day INTEGER NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost NUMERIC(40) NOT NULL,
    requests_without_usage BIGINT NOT NULL,
    requests_without_price BIGINT NOT NULL,
    latency_us BIGINT NOT NULL,
    requests_with_latency BIGINT NOT NULL,
    PRIMARY KEY (organization_id, day)
);
