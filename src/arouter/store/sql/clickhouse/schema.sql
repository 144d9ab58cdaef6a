-- The copy of the ledger in ClickHouse. One text for one server and for a cluster: the words in braces are filled in by
-- arouter.store.clickhouse.schema, and `arouter clickhouse schema` prints what comes of it.

-- name: create_database
CREATE DATABASE IF NOT EXISTS {database}{on_cluster};

-- name: create_records
-- A row for each record, and one for each adjustment. That of an adjustment repeats what its record is found and grouped
-- by, and adds the difference that it makes: plain sums over all rows are the sums that hold, without FINAL and without
-- waiting for merges. Not partitioned: what is inserted together is one part, and is seen whole or not at all.
CREATE TABLE IF NOT EXISTS {database}.{local_records}{on_cluster} (
    -- What rows are found and grouped by. Unknown is NULL; a NULL user is no user, and '' is one.
    organization_id LowCardinality(String),
    user Nullable(String) CODEC(ZSTD(3)),
    created_at_us Int64 CODEC(Delta, ZSTD(1)),
    id String CODEC(ZSTD(3)),
    adjustment_no UInt64 CODEC(ZSTD(1)) COMMENT '0 for the record itself',
    written_at_us Int64 CODEC(Delta, ZSTD(1)) COMMENT 'when the record was written, also in the row of an adjustment',
    workspace_id LowCardinality(String),
    key_hash LowCardinality(String),
    endpoint LowCardinality(String),
    status LowCardinality(String),
    requested_model LowCardinality(Nullable(String)),
    model LowCardinality(Nullable(String)),
    provider LowCardinality(Nullable(String)),
    session_id Nullable(String) CODEC(ZSTD(1)),
    tags Array(LowCardinality(String)),
    latency_us Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'NULL in the row of an adjustment',
    -- What a row adds to each sum, where it does not follow from the others. Money is in picodollars.
    added_requests Int64 CODEC(T64, ZSTD(1)),
    added_errors Int64 CODEC(T64, ZSTD(1)),
    added_prompt_tokens Int64 CODEC(T64, ZSTD(1)),
    added_completion_tokens Int64 CODEC(T64, ZSTD(1)),
    added_cached_tokens Int64 CODEC(T64, ZSTD(1)),
    added_reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    added_cost Int128 CODEC(ZSTD(1)),
    added_requests_without_usage Int64 CODEC(T64, ZSTD(1)),
    added_requests_without_price Int64 CODEC(T64, ZSTD(1)),
    -- The rest of a record.
    request_id String CODEC(ZSTD(3)),
    completed_at_us Int64 CODEC(Delta, ZSTD(1)),
    http_status Nullable(Int32),
    streamed UInt8,
    is_byok UInt8,
    attempts Int64 CODEC(T64, ZSTD(1)),
    time_to_first_token_us Nullable(Int64) CODEC(ZSTD(1)),
    input_tokens Nullable(Int64) CODEC(ZSTD(1)),
    input_audio_tokens Nullable(Int64) CODEC(ZSTD(1)),
    input_image_tokens Nullable(Int64) CODEC(ZSTD(1)),
    input_video_tokens Nullable(Int64) CODEC(ZSTD(1)),
    cache_read_tokens Nullable(Int64) CODEC(ZSTD(1)),
    cache_read_audio_tokens Nullable(Int64) CODEC(ZSTD(1)),
    cache_write_tokens Nullable(Int64) CODEC(ZSTD(1)),
    cache_write_1h_tokens Nullable(Int64) CODEC(ZSTD(1)),
    output_tokens Nullable(Int64) CODEC(ZSTD(1)),
    output_audio_tokens Nullable(Int64) CODEC(ZSTD(1)),
    output_image_tokens Nullable(Int64) CODEC(ZSTD(1)),
    reasoning_tokens Nullable(Int64) CODEC(ZSTD(1)),
    web_searches Nullable(Int64) CODEC(ZSTD(1)),
    raw_usage Nullable(String) CODEC(ZSTD(3)),
    usage_source LowCardinality(String),
    cost Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'the one that the row states, and not a difference',
    rated_cost Nullable(Int64) CODEC(ZSTD(1)),
    reported_cost Nullable(Int64) CODEC(ZSTD(1)),
    price_source LowCardinality(Nullable(String)),
    price_version LowCardinality(Nullable(String)),
    upstream_model LowCardinality(Nullable(String)),
    upstream_id Nullable(String) CODEC(ZSTD(3)),
    finish_reason LowCardinality(Nullable(String)),
    error_code LowCardinality(Nullable(String)),
    service_tier LowCardinality(Nullable(String)),
    app_url LowCardinality(Nullable(String)),
    app_title LowCardinality(Nullable(String)),
    tried Nullable(String) CODEC(ZSTD(1)) COMMENT 'the attempts as JSON, where there were several',
    -- What is said of an adjustment; empty in the row of a record.
    adjustment_id String CODEC(ZSTD(1)),
    adjusted_at_us Int64 CODEC(ZSTD(1)) COMMENT 'when the adjustment was written',
    adjustment_created_at_us Int64 CODEC(ZSTD(1)),
    adjustment_kind LowCardinality(String),
    adjustment_reason String CODEC(ZSTD(1)),
    adjustment_author Nullable(String) CODEC(ZSTD(1)),
    {projections}
) ENGINE = {records_engine}
ORDER BY (organization_id, user, created_at_us, id, adjustment_no)
SETTINGS allow_nullable_key = 1, index_granularity = 1024, min_compress_block_size = {block_bytes},
    default_compression_codec = 'ZSTD(1)'{deduplication};

-- name: by_time
-- What records are found by and what they add, in the order of time, for whoever asks for no user.
SELECT organization_id, user, created_at_us, id, adjustment_no, written_at_us, workspace_id, key_hash, endpoint,
    status, requested_model, model, provider, tags, adjusted_at_us, latency_us, {added}
ORDER BY organization_id, created_at_us, id;

-- name: user_totals
-- Sums of users, and when they were seen.
SELECT organization_id, user, min(created_at_us), max(created_at_us), {sums}
GROUP BY organization_id, user;

-- name: users_by_32_days
-- Sums of users, also by key and workspace, by 32 days, by 8, and by day: the longer, the fewer rows. Their times are
-- told by `intDivOrZero`, of which ClickHouse does not know that it rises with time: with `intDiv` it looks through the
-- index of all records for each question, in vain, before it takes a projection.
SELECT organization_id, {by_period}, user, key_hash, workspace_id,
    min(created_at_us), max(created_at_us), {sums}
GROUP BY organization_id, {by_period}, user, key_hash, workspace_id;

-- name: users_by_8_days
SELECT organization_id, {by_eight}, user, key_hash, workspace_id, {sums}
GROUP BY organization_id, {by_eight}, user, key_hash, workspace_id;

-- name: users_by_day
SELECT organization_id, {by_day}, user, key_hash, workspace_id, {sums}
GROUP BY organization_id, {by_day}, user, key_hash, workspace_id;

-- name: days_by_user
-- All sums by day of one user stand together, for whoever asks for a few.
SELECT organization_id, {user_hash}, user, {by_day}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider, {sums}
GROUP BY organization_id, {user_hash}, user, {by_day}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider;

-- name: days
-- Sums of everybody by day and by quarter of an hour, with the set of the users, who can thus be counted.
SELECT organization_id, {by_day}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider, uniqExactState(user), {sums}
GROUP BY organization_id, {by_day}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider;

-- name: quarters
SELECT organization_id, {by_slot}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider, uniqExactState(user), {sums}
GROUP BY organization_id, {by_slot}, workspace_id, key_hash, endpoint, status,
    requested_model, model, provider;

-- name: create_distributed
-- On a cluster each server has a part of the records: those of one user are together.
CREATE TABLE IF NOT EXISTS {database}.{records}{on_cluster} AS {database}.{local_records}
ENGINE = Distributed({cluster_name}, {database}, {local_records}, sipHash64(organization_id, user));

-- name: create_copied
-- How far the copy is: a row is planned before a stretch is inserted, and done behind it. Both bear a token, so that of
-- several that want to write the same number one wins. On a cluster every server has all of it.
CREATE TABLE IF NOT EXISTS {database}.{copied}{on_cluster} (
    no UInt64,
    done UInt8,
    after_transaction UInt64,
    after_record UInt64,
    after_mark String,
    until_transaction UInt64,
    until_record UInt64,
    until_mark String,
    size UInt64,
    as_of_us Int64,
    owner String
) ENGINE = {copied_engine}
ORDER BY (no, done){copied_settings};
