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

-- What changed with each of the last revisions, as a list of actions of the audit log, each with its organization and the id
-- of what it was done to; a revision without a row may have changed anything.
CREATE TABLE directory_changes (
    revision INTEGER PRIMARY KEY,
    things TEXT NOT NULL
) STRICT;

-- retention_days: how long records are kept; NULL as the settings say.
CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    created_at_us INTEGER NOT NULL
, retention_days INTEGER, name TEXT NOT NULL DEFAULT 'Default', updated_at_us INTEGER) STRICT;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at_us INTEGER NOT NULL
, name TEXT NOT NULL DEFAULT 'Default', updated_at_us INTEGER, archived INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE INDEX workspaces_by_age ON workspaces (organization_id, created_at_us, id);

-- workspace_ids, of members and invitations: as JSON; none: every one.
CREATE TABLE members (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    disabled INTEGER NOT NULL, workspace_ids TEXT NOT NULL DEFAULT '[]',
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
, workspace_ids TEXT NOT NULL DEFAULT '[]') STRICT;

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

-- A deleted key has no secret; its row stays, because records tell its name. previous_secret: what a rotation left until
-- previous_expires_at_us.
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
, rate_limit TEXT, default_user_limits TEXT, previous_secret TEXT, previous_expires_at_us INTEGER) STRICT;

CREATE INDEX keys_by_age ON keys (organization_id, created_at_us, hash);
CREATE UNIQUE INDEX keys_by_previous_secret ON keys (previous_secret) WHERE previous_secret IS NOT NULL;

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

CREATE TABLE record_tags (
    seq INTEGER NOT NULL REFERENCES records (seq),
    position INTEGER NOT NULL,
    tag_no INTEGER NOT NULL REFERENCES names (no),
    PRIMARY KEY (seq, position)
) STRICT, WITHOUT ROWID;

-- One row for each transaction that appended records or adjustments. Its hash covers theirs and the hash before it.
-- Where blocks_of names a sealed day, records were loaded into blocks at once, and the hash covers the blocks' bytes.
CREATE TABLE batches (
    no INTEGER PRIMARY KEY,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    written_at_us INTEGER NOT NULL,
    earliest_us INTEGER NOT NULL,
    hash BLOB NOT NULL
, blocks_of INTEGER) STRICT;

CREATE INDEX batches_by_time ON batches (written_at_us, earliest_us);

-- What is said of a record's cost after it was written. Appended once, never changed; no gives the order, and the
-- last one of a record holds. The hash of the batch covers them.
CREATE TABLE "adjustments" (
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

CREATE INDEX adjustments_by_record ON adjustments (record_seq, no);
CREATE INDEX adjustments_by_batch ON adjustments (batch_no, no);

-- The last adjustment of each record that has any: what a query joins with the records.
CREATE TABLE "adjusted" (
    adjusted_seq INTEGER PRIMARY KEY,
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

-- Sums by quarter of an hour and everything that a summary groups or filters by; 0 stands for none. A slot is
-- created_at_us / 900000000: hours and days of every time zone begin with one. A cost is kept as
-- cost_units * 1000000 + cost_rest, so that sums of it fit into 64 bits.
CREATE TABLE rollups (
    slot INTEGER NOT NULL,
    organization_no INTEGER NOT NULL,
    workspace_no INTEGER NOT NULL,
    key_no INTEGER NOT NULL,
    user_no INTEGER NOT NULL,
    model_no INTEGER NOT NULL,
    requested_model_no INTEGER NOT NULL,
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
        organization_no, slot, key_no, user_no, model_no, requested_model_no, provider_no, endpoint_no, status_no,
        workspace_no
    )
) STRICT, WITHOUT ROWID;

-- What each key spent in each UTC hour, and when the last of its requests began; NULL where that is not known.
CREATE TABLE key_hours (
    key_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL, last_used_us INTEGER,
    PRIMARY KEY (key_no, hour)
) STRICT, WITHOUT ROWID;

-- Days of UTC whose roll-ups are also there as columns, in day_blocks: those of the first so many quarters of the day,
-- all 96 once it is closed. With ready = 0 somebody is making them. Whatever changes these sums deletes the row in the
-- same transaction, and with it the claim, a number that was drawn for it.
CREATE TABLE folded_days (
    claim INTEGER PRIMARY KEY,
    organization_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    quarters INTEGER NOT NULL,
    claimed_at_us INTEGER NOT NULL,
    ready INTEGER NOT NULL
) STRICT;

CREATE INDEX folded_days_by_day ON folded_days (organization_no, day);

-- Derived, and worth nothing without a row in folded_days that is ready.
CREATE TABLE day_blocks (
    claim INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    first_user_no INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (claim, kind, first_user_no)
) STRICT;

-- What requests on own keys cost, by the key that made them and the UTC hour.
CREATE TABLE own_key_hours (
    key_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    PRIMARY KEY (key_no, hour)
) STRICT, WITHOUT ROWID;

-- Records of one organization and one UTC day that are blocks. state: 0 blocks are being written, 1 the blocks hold and
-- the rows up to last_seq are being deleted, 2 they are gone, 3 the day is being forgotten. Rows beyond last_seq came
-- later and stay rows.
CREATE TABLE sealed_days (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_no INTEGER NOT NULL REFERENCES names (no),
    day INTEGER NOT NULL,
    state INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    records INTEGER NOT NULL,
    UNIQUE (organization_no, day)
) STRICT;

CREATE INDEX sealed_days_in_change ON sealed_days (state) WHERE state <> 2;

-- Every sealed record, in the order of (created_at_us, id). workspaces to statuses tell which numbers of names are in a
-- block, each as the bit (number mod 64). present tells the columns that are there, size the bytes before compression.
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

-- Every sealed record once more, in the order of (user_no, created_at_us, id). A bucket is user_no / 64, 0 stands for
-- none; users has the bit (user_no mod 64) of each user.
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

-- The sealed records whose id does not tell when they were created.
CREATE TABLE sealed_ids (
    id TEXT PRIMARY KEY,
    day_no INTEGER NOT NULL REFERENCES sealed_days (no),
    created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sealed_ids_by_day ON sealed_ids (day_no);

-- What was noted of the records that have expired. Their sums stay in rollups.
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

-- When each end user was seen first and last, by the key and the workspace that asked: it outlives the records.
CREATE TABLE user_spans (
    organization_no INTEGER NOT NULL REFERENCES names (no),
    user_no INTEGER NOT NULL REFERENCES end_users (no),
    key_no INTEGER NOT NULL REFERENCES names (no),
    workspace_no INTEGER NOT NULL REFERENCES names (no),
    first_seen_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    PRIMARY KEY (organization_no, user_no, key_no, workspace_no)
) STRICT, WITHOUT ROWID;
-- Guardrails: limits and lists are JSON, because they are only ever read whole.
CREATE TABLE guardrails (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    target_id TEXT,
    limits TEXT NOT NULL,
    lists TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    creator TEXT,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER
) STRICT;

CREATE INDEX guardrails_by_age ON guardrails (organization_id, created_at_us, id);

-- What is said of single end users. changed grows with every change.
CREATE TABLE user_rules (
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    limits TEXT NOT NULL,
    blocked INTEGER NOT NULL,
    reason TEXT,
    blocked_at_us INTEGER,
    updated_at_us INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (organization_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_rules_by_change ON user_rules (changed);
CREATE INDEX user_rules_blocked ON user_rules (organization_id, name) WHERE blocked = 1;

-- What budgets and daily limits go by: sums by UTC day of an organization (scope 1), a workspace (2), a key (3), an end
-- user (4). Raised in the transaction of the records. Requests that were rejected are not counted.
CREATE TABLE usage_days (
    scope INTEGER NOT NULL,
    scope_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    PRIMARY KEY (scope, scope_no, day)
) STRICT, WITHOUT ROWID;

-- What was used of windows too short to be summed up in usage_days.
CREATE TABLE counter_uses (
    counter TEXT PRIMARY KEY,
    used INTEGER NOT NULL,
    ends_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Units of a counter that one process may use without asking. most is the limit that the lease was given under; exact:
-- all of it is held by running requests; recalled: others have asked for it; posts: counts as used if its process dies.
CREATE TABLE leases (
    counter TEXT NOT NULL,
    most INTEGER NOT NULL,
    owner_no INTEGER NOT NULL REFERENCES owners (no),
    units INTEGER NOT NULL,
    exact INTEGER NOT NULL,
    recalled INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    renewed_at_us INTEGER NOT NULL,
    ends_at_us INTEGER NOT NULL,
    PRIMARY KEY (counter, most, owner_no)
) STRICT, WITHOUT ROWID;

-- What is asked for four times a second. Leases are given and ended in any order: an index of all of them would cost a
-- page for each. By owner and by end they are looked for along the table, seldom.
CREATE INDEX recalled_leases ON leases (owner_no) WHERE recalled = 1;

-- What was paid into organizations' pools of credits, in picodollars. Rows are added, and never changed or deleted.
CREATE TABLE credits (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    description TEXT NOT NULL,
    reference TEXT,
    idempotency_key TEXT,
    UNIQUE (organization_id, reference),
    UNIQUE (organization_id, idempotency_key)
) STRICT;

CREATE INDEX credits_by_age ON credits (organization_id, created_at_us, id);

-- total is the sum of an organization's credits. cost_at_end is decimal: what its records had cost, in picodollars, when
-- the pool was switched off; it may be more than a number of the database can be.
CREATE TABLE credit_pools (
    organization_id TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL,
    total INTEGER NOT NULL,
    cost_at_end TEXT
) STRICT;

-- What a program has to know to work on the database, beside the version in its header: the last step that is not
-- compatible with those before it.
CREATE TABLE needed_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;

-- How far a copy of another database into this one has come: source tells which one that is, position where its ledger
-- goes on. No gateway starts before the copy is complete.
CREATE TABLE copies (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    source TEXT NOT NULL,
    position TEXT NOT NULL,
    complete INTEGER NOT NULL
) STRICT;

-- Records that are on disk and wait to be booked, a group in each row: packed with the names of their columns, so that
-- another version can read them. Versions before the table arrival_files wrote them.
CREATE TABLE arrivals (
    no INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL,
    arrived_at_us INTEGER NOT NULL,
    records BLOB NOT NULL
) STRICT;

-- What arrived and could not be booked, and why: it was acknowledged, so it is kept. The check tells of it.
CREATE TABLE arrivals_set_aside (
    no INTEGER PRIMARY KEY,
    records BLOB NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- Pairs of files beside the database in which records are on disk and wait to be booked, and up to which of their groups
-- each pair is booked.
CREATE TABLE arrival_files (
    no INTEGER PRIMARY KEY,
    booked INTEGER NOT NULL
) STRICT;
