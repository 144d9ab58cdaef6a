-- Every record's id, once: who writes it here has the record.
CREATE TABLE record_ids (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL
);

-- Appended once. cost is the record's own; holding_cost is that of the adjustment that was written last, if there is
-- one: these last three columns are the only ones that change, and all sums go by holding_cost.
CREATE TABLE records (
    id TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    place INTEGER NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    completed_at_us BIGINT NOT NULL,
    organization_id TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL,
    key_hash TEXT COLLATE "C" NOT NULL,
    end_user TEXT COLLATE "C",
    endpoint TEXT COLLATE "C" NOT NULL,
    requested_model TEXT COLLATE "C",
    streamed BOOLEAN NOT NULL,
    session_id TEXT COLLATE "C",
    tags TEXT[] COLLATE "C" NOT NULL,
    app_url TEXT COLLATE "C",
    app_title TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    http_status INTEGER,
    model TEXT COLLATE "C",
    provider TEXT COLLATE "C",
    upstream_model TEXT COLLATE "C",
    upstream_id TEXT COLLATE "C",
    finish_reason TEXT COLLATE "C",
    error_code TEXT COLLATE "C",
    service_tier TEXT COLLATE "C",
    input_tokens BIGINT,
    input_audio_tokens BIGINT,
    input_image_tokens BIGINT,
    input_video_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_read_audio_tokens BIGINT,
    cache_write_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    output_tokens BIGINT,
    output_audio_tokens BIGINT,
    output_image_tokens BIGINT,
    reasoning_tokens BIGINT,
    web_searches BIGINT,
    raw_usage BYTEA,
    usage_source TEXT COLLATE "C" NOT NULL,
    cost BIGINT,
    rated_cost BIGINT,
    reported_cost BIGINT,
    price_source TEXT COLLATE "C",
    price_version TEXT COLLATE "C",
    is_byok BOOLEAN NOT NULL,
    latency_us BIGINT,
    time_to_first_token_us BIGINT,
    attempts BIGINT NOT NULL,
    tried TEXT COLLATE "C",
    holding_cost BIGINT,
    adjustment_id TEXT COLLATE "C",
    adjusted_batch BIGINT
) PARTITION BY RANGE (created_at_us);

CREATE INDEX records_by_time ON records (organization_id, created_at_us);
CREATE INDEX records_by_user ON records (organization_id, end_user, created_at_us);
CREATE INDEX records_by_key ON records (key_hash, created_at_us);

-- Months get their partitions when they come; these hold whatever lies outside of all that is likely (before 2020, and
-- from 2200 on).
CREATE TABLE records_before PARTITION OF records FOR VALUES FROM (MINVALUE) TO (1577836800000000);
CREATE TABLE records_beyond PARTITION OF records FOR VALUES FROM (7258118400000000) TO (MAXVALUE);

-- One row for each transaction that appended records or adjustments. no and written_at_us rise in the order in which
-- they were committed. digest covers what it wrote, hash the digest and the hash before it.
CREATE TABLE batches (
    id BIGINT PRIMARY KEY,
    no BIGINT NOT NULL UNIQUE,
    written_at_us BIGINT NOT NULL,
    earliest_us BIGINT NOT NULL,
    records INTEGER NOT NULL,
    digest BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

CREATE INDEX batches_by_time ON batches (written_at_us, earliest_us);
CREATE SEQUENCE batch_ids AS BIGINT;

-- The end of the chain. Who changes it holds it until its transaction has ended: that makes one order of all.
CREATE TABLE ledger_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    no BIGINT NOT NULL,
    written_at_us BIGINT NOT NULL,
    hash BYTEA NOT NULL
) WITH (fillfactor = 10);

INSERT INTO ledger_head VALUES (1, 0, 0, '');

-- What is said of a record's cost after it was written. Appended once, never changed; of one record the last by
-- (batches.no, place) holds.
CREATE TABLE adjustments (
    id TEXT COLLATE "C" PRIMARY KEY,
    record_id TEXT COLLATE "C" NOT NULL,
    batch BIGINT NOT NULL,
    place INTEGER NOT NULL,
    created_at_us BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    cost BIGINT,
    price_source TEXT COLLATE "C",
    price_version TEXT COLLATE "C",
    reason TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C"
);

CREATE INDEX adjustments_by_record ON adjustments (record_id);
CREATE INDEX adjustments_by_batch ON adjustments (batch);

-- Requests that run, as JSON, each with the process that runs it.
CREATE TABLE open_records (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES owners (no),
    opening TEXT COLLATE "C" NOT NULL
);

CREATE INDEX open_records_by_owner ON open_records (owner);

-- Sums by quarter of an hour and everything that a summary groups or filters by. A slot is created_at_us / 900000000:
-- hours and days of every time zone begin with one. digest is the SHA-256 of the texts: some are too long for an index.
CREATE TABLE rollups (
    organization_id TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL,
    key_hash TEXT COLLATE "C" NOT NULL,
    end_user TEXT COLLATE "C",
    model TEXT COLLATE "C",
    requested_model TEXT COLLATE "C",
    provider TEXT COLLATE "C",
    endpoint TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
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
    PRIMARY KEY (organization_id, slot, digest)
) WITH (fillfactor = 85);

CREATE INDEX rollups_by_key ON rollups (key_hash, slot);

-- What each key spent in each hour of UTC, and what of it on the organization's own keys for providers.
CREATE TABLE key_hours (
    key_hash TEXT COLLATE "C" NOT NULL,
    hour INTEGER NOT NULL,
    cost NUMERIC(40) NOT NULL,
    own_key_cost NUMERIC(40) NOT NULL,
    PRIMARY KEY (key_hash, hour)
) WITH (fillfactor = 70);

-- When each end user was seen first and last, by the key and the workspace that asked: it outlives the records.
CREATE TABLE user_spans (
    organization_id TEXT COLLATE "C" NOT NULL,
    end_user TEXT COLLATE "C" NOT NULL,
    key_hash TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL,
    first_seen_us BIGINT NOT NULL,
    last_seen_us BIGINT NOT NULL,
    PRIMARY KEY (organization_id, end_user, key_hash, workspace_id)
) WITH (fillfactor = 85);

-- What was noted of the records that have expired: their sums stay in rollups. Days are of UTC, counted from the epoch.
CREATE TABLE expired_days (
    organization_id TEXT COLLATE "C" NOT NULL,
    day INTEGER NOT NULL,
    requests NUMERIC(40) NOT NULL,
    errors NUMERIC(40) NOT NULL,
    prompt_tokens NUMERIC(40) NOT NULL,
    completion_tokens NUMERIC(40) NOT NULL,
    cached_tokens NUMERIC(40) NOT NULL,
    reasoning_tokens NUMERIC(40) NOT NULL,
    total_tokens NUMERIC(40) NOT NULL,
    cost NUMERIC(40) NOT NULL,
    requests_without_usage NUMERIC(40) NOT NULL,
    requests_without_price NUMERIC(40) NOT NULL,
    latency_us NUMERIC(40) NOT NULL,
    requests_with_latency NUMERIC(40) NOT NULL,
    PRIMARY KEY (organization_id, day)
);
