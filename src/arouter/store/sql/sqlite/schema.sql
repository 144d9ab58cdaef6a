-- The SQLite database as it is after the last migration. tests/store/test_migrate.py proves the two equal.
--
-- Times are microseconds since the epoch, money is picodollars. NULL is unknown, which is not zero.

CREATE TABLE home (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    secret BLOB NOT NULL
) STRICT;

-- Grows by one with every change of the directory.
CREATE TABLE directory_revision (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    created_at_us INTEGER NOT NULL
, name TEXT NOT NULL DEFAULT 'Default', updated_at_us INTEGER) STRICT;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at_us INTEGER NOT NULL
, name TEXT NOT NULL DEFAULT 'Default', updated_at_us INTEGER, archived INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE INDEX workspaces_by_age ON workspaces (organization_id, created_at_us, id);

CREATE TABLE members (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    disabled INTEGER NOT NULL,
    UNIQUE (organization_id, email)
) STRICT;

CREATE INDEX members_by_age ON members (organization_id, created_at_us, id);
CREATE INDEX members_by_email ON members (email);

-- secret is the SHA-256 of the token.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    secret TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    invited_by TEXT,
    accepted_by TEXT
) STRICT;

CREATE INDEX invitations_by_age ON invitations (organization_id, created_at_us, id);

-- What members sign in with. A password is an argon2 hash, recovery codes and the tokens of sessions are SHA-256.
CREATE TABLE logins (
    member_id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    password TEXT,
    totp_secret TEXT,
    totp_confirmed INTEGER NOT NULL,
    totp_step INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    member_id TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (member_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    secret TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    seen_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_member ON sessions (member_id, created_at_us);

-- who is the SHA-256 of an address, whether somebody has it or not.
CREATE TABLE sign_in_attempts (
    who TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_in_attempts_by_who ON sign_in_attempts (who, at_us);

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

-- A deleted key has no secret; its row stays, because records tell its name.
CREATE TABLE keys (
    hash TEXT PRIMARY KEY,
    secret TEXT UNIQUE,
    organization_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    creator TEXT,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    expires_at_us INTEGER,
    deleted_at_us INTEGER,
    disabled INTEGER NOT NULL,
    spending_limit INTEGER,
    limit_reset TEXT,
    allowed_providers TEXT,
    allowed_models TEXT,
    user_policy TEXT NOT NULL,
    fixed_user TEXT,
    activity_scope TEXT NOT NULL
) STRICT;

CREATE INDEX keys_by_age ON keys (organization_id, created_at_us, hash);

-- The keys for providers that organizations bring. A secret is kept sealed: sealed_with names what it can be read with.
CREATE TABLE provider_keys (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    api_key_hash TEXT,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    creator TEXT,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    disabled INTEGER NOT NULL,
    byok_fallback INTEGER NOT NULL,
    sealed_with TEXT NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

CREATE INDEX provider_keys_by_age ON provider_keys (organization_id, created_at_us, id);

-- Every text that repeats in records is stored once: ids, models, statuses, error codes, tags.
CREATE TABLE names (
    no INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- End users, byte for byte. Apart from names, so that a person can be forgotten in one place.
CREATE TABLE end_users (
    no INTEGER PRIMARY KEY,
    organization_no INTEGER NOT NULL REFERENCES names (no),
    name TEXT NOT NULL,
    UNIQUE (organization_no, name)
) STRICT;

-- Appended once, never changed. The last columns are written as SQLite notes columns that were added.
CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    written_at_us INTEGER NOT NULL,
    user_no INTEGER REFERENCES end_users (no),
    tags INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    completed_at_us INTEGER NOT NULL,
    session_id TEXT,
    upstream_id TEXT,
    http_status INTEGER,
    streamed INTEGER NOT NULL,
    is_byok INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    latency_us INTEGER,
    time_to_first_token_us INTEGER,
    input_tokens INTEGER,
    input_audio_tokens INTEGER,
    input_image_tokens INTEGER,
    input_video_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_read_audio_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens INTEGER,
    output_audio_tokens INTEGER,
    output_image_tokens INTEGER,
    reasoning_tokens INTEGER,
    web_searches INTEGER,
    raw_usage BLOB,
    cost INTEGER,
    rated_cost INTEGER,
    reported_cost INTEGER,
    organization_no INTEGER NOT NULL REFERENCES names (no),
    workspace_no INTEGER NOT NULL REFERENCES names (no),
    key_no INTEGER NOT NULL REFERENCES names (no),
    endpoint_no INTEGER NOT NULL REFERENCES names (no),
    status_no INTEGER NOT NULL REFERENCES names (no),
    usage_source_no INTEGER NOT NULL REFERENCES names (no),
    requested_model_no INTEGER REFERENCES names (no),
    model_no INTEGER REFERENCES names (no),
    provider_no INTEGER REFERENCES names (no),
    upstream_model_no INTEGER REFERENCES names (no),
    finish_reason_no INTEGER REFERENCES names (no),
    error_code_no INTEGER REFERENCES names (no),
    price_source_no INTEGER REFERENCES names (no),
    price_version_no INTEGER REFERENCES names (no),
    app_url_no INTEGER REFERENCES names (no),
    app_title_no INTEGER REFERENCES names (no)
, service_tier_no INTEGER REFERENCES names (no), tried TEXT) STRICT;

-- Records of one microsecond are sorted by id when they are read: that happens seldom, and ids would make each
-- entry twice as long.
CREATE INDEX records_by_time ON records (organization_no, created_at_us);
CREATE INDEX records_by_user ON records (organization_no, user_no, created_at_us);
CREATE INDEX records_by_key ON records (key_no, created_at_us);
-- The records of requests that ran on such a key, which have sums of their own.
CREATE INDEX records_on_own_keys ON records (key_no, created_at_us) WHERE is_byok = 1;

CREATE TABLE record_tags (
    seq INTEGER NOT NULL REFERENCES records (seq),
    position INTEGER NOT NULL,
    tag_no INTEGER NOT NULL REFERENCES names (no),
    PRIMARY KEY (seq, position)
) STRICT, WITHOUT ROWID;

-- One row for each transaction that appended records or adjustments. Its hash covers theirs and the hash before it.
CREATE TABLE batches (
    no INTEGER PRIMARY KEY,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    written_at_us INTEGER NOT NULL,
    earliest_us INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE INDEX batches_by_time ON batches (written_at_us, earliest_us);

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
, author TEXT) STRICT;

CREATE INDEX adjustments_by_record ON adjustments (record_seq, no);
CREATE INDEX adjustments_by_batch ON adjustments (batch_no, no);

-- The last adjustment of each record that has any: what a query joins with the records.
CREATE TABLE adjusted (
    adjusted_seq INTEGER PRIMARY KEY REFERENCES records (seq),
    adjustment_no INTEGER NOT NULL REFERENCES adjustments (no),
    adjusted_at_us INTEGER NOT NULL,
    adjusted_cost INTEGER
) STRICT;

-- Processes that may have open records. Each holds a lock for as long as it lives.
CREATE TABLE owners (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    process_id INTEGER NOT NULL,
    started_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE open_records (
    id TEXT PRIMARY KEY,
    owner_no INTEGER NOT NULL REFERENCES owners (no),
    opening BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Sums by UTC hour and everything that a summary groups by; 0 stands for none. A cost is kept as
-- cost_units * 1000000 + cost_rest, so that sums of it fit into 64 bits.
CREATE TABLE rollups (
    hour INTEGER NOT NULL,
    organization_no INTEGER NOT NULL,
    workspace_no INTEGER NOT NULL,
    key_no INTEGER NOT NULL,
    user_no INTEGER NOT NULL,
    model_no INTEGER NOT NULL,
    provider_no INTEGER NOT NULL,
    endpoint_no INTEGER NOT NULL,
    status_no INTEGER NOT NULL,
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
    PRIMARY KEY (
        organization_no, hour, key_no, user_no, model_no, provider_no, endpoint_no, status_no, workspace_no
    )
) STRICT, WITHOUT ROWID;

-- What each key spent in each UTC hour.
CREATE TABLE key_hours (
    key_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    PRIMARY KEY (key_no, hour)
) STRICT, WITHOUT ROWID;
