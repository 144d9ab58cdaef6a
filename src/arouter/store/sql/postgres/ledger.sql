-- A number for the batch, and the ids that nobody has written.
-- name: add_record_ids
WITH new AS (
    INSERT INTO record_ids (id, organization_id, created_at_us)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT nextval('batch_ids') AS number, coalesce(array_agg(id), '{}') AS ids FROM new;

-- name: is_there
SELECT EXISTS (SELECT 1 FROM record_ids WHERE id = $1);

-- name: next_batch
SELECT nextval('batch_ids');

-- name: add_records
INSERT INTO records (batch, place, holding_cost, {columns})
SELECT $1::bigint, place, cost, {values}
FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, place);

-- All at once, to wait for the server once only; done in this order.
-- name: raise_sums
WITH raised_rollups AS (
    INSERT INTO rollups AS kept (
        organization_id, slot, digest, workspace_id, key_hash, end_user, model, requested_model, provider, endpoint, status,
        requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, total_tokens, cost,
        requests_without_usage, requests_without_price, latency_us, requests_with_latency
    )
    SELECT organization_id, slot, digest, workspace_id, key_hash, end_user, model, requested_model, provider, endpoint, status,
        requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, total_tokens, cost::numeric,
        requests_without_usage, requests_without_price, latency_us, requests_with_latency
    FROM unnest(
        $1::text[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
        $18::bigint[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[]
    ) AS given (
        organization_id, slot, digest, workspace_id, key_hash, end_user, model, requested_model, provider, endpoint, status,
        requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, total_tokens, cost,
        requests_without_usage, requests_without_price, latency_us, requests_with_latency
    )
    ON CONFLICT (organization_id, slot, digest) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        errors = kept.errors + excluded.errors,
        prompt_tokens = kept.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = kept.completion_tokens + excluded.completion_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        reasoning_tokens = kept.reasoning_tokens + excluded.reasoning_tokens,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost = kept.cost + excluded.cost,
        requests_without_usage = kept.requests_without_usage + excluded.requests_without_usage,
        requests_without_price = kept.requests_without_price + excluded.requests_without_price,
        latency_us = kept.latency_us + excluded.latency_us,
        requests_with_latency = kept.requests_with_latency + excluded.requests_with_latency
), widened_spans AS (
    INSERT INTO user_spans AS kept (organization_id, end_user, key_hash, workspace_id, first_seen_us, last_seen_us)
    SELECT * FROM unnest($24::text[], $25::text[], $26::text[], $27::text[], $28::bigint[], $29::bigint[])
    ON CONFLICT (organization_id, end_user, key_hash, workspace_id) DO UPDATE SET
        first_seen_us = least(kept.first_seen_us, excluded.first_seen_us),
        last_seen_us = greatest(kept.last_seen_us, excluded.last_seen_us)
), raised_hours AS (
    INSERT INTO key_hours AS kept (key_hash, hour, cost, own_key_cost, last_used_us)
    SELECT key_hash, hour, cost::numeric, own_key_cost::numeric, last_used_us
    FROM unnest($30::text[], $31::integer[], $32::text[], $33::text[], $34::bigint[])
        AS given (key_hash, hour, cost, own_key_cost, last_used_us)
    ON CONFLICT (key_hash, hour) DO UPDATE SET
        cost = kept.cost + excluded.cost,
        own_key_cost = kept.own_key_cost + excluded.own_key_cost,
        last_used_us = greatest(kept.last_used_us, excluded.last_used_us)
), raised_days AS (
    INSERT INTO usage_days AS kept (scope, organization_id, scope_id, day, requests, tokens, cost)
    SELECT scope, organization_id, scope_id, day, requests, tokens::numeric, cost::numeric
    FROM unnest(
        $35::text[], $36::text[], $37::text[], $38::integer[], $39::bigint[], $40::text[], $41::text[]
    ) AS given (scope, organization_id, scope_id, day, requests, tokens, cost)
    ON CONFLICT (scope, organization_id, scope_id, day) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        tokens = kept.tokens + excluded.tokens,
        cost = kept.cost + excluded.cost
)
SELECT 1;

-- name: forget_open
DELETE FROM open_records WHERE id = ANY($1::text[]) RETURNING id;

-- An intent whose record is there is void, and the first one of an id holds.
-- name: add_open
INSERT INTO open_records (id, owner, opening)
SELECT id, $1::integer, opening FROM unnest($2::text[], $3::text[]) AS given (id, opening)
WHERE NOT EXISTS (SELECT 1 FROM record_ids WHERE record_ids.id = given.id)
ON CONFLICT DO NOTHING;

-- The last statement of whatever appends: $1 is the batch's id, $2 the time, $3 the time of the earliest record, $4
-- their number, $5 the digest.
-- name: add_batch
WITH head AS (
    UPDATE ledger_head SET
        no = no + 1,
        written_at_us = greatest(written_at_us, $2::bigint),
        hash = sha256(hash || $5::bytea || int8send($1::bigint) || int8send(no + 1)
            || int8send(greatest(written_at_us, $2::bigint)))
    RETURNING no, written_at_us, hash
)
INSERT INTO batches (id, no, written_at_us, earliest_us, records, digest, hash)
SELECT $1::bigint, no, written_at_us, $3::bigint, $4::integer, $5::bytea, hash FROM head
RETURNING written_at_us;

-- Nothing changes, but whether something could is found out.
-- name: probe
UPDATE ledger_head SET no = no;

-- From now on nothing is written that bears an earlier time.
-- name: pass_time
UPDATE ledger_head SET written_at_us = $1::bigint WHERE written_at_us < $1::bigint;

-- name: head_time
SELECT written_at_us FROM ledger_head;

-- name: written_until
SELECT max(written_at_us) FROM batches;

-- name: open_of
SELECT id, opening FROM open_records WHERE owner = ANY($1::integer[]) ORDER BY id LIMIT $2;

-- name: last_used
SELECT asked.key_hash, last_used_us
FROM unnest($1::text[]) AS asked (key_hash) CROSS JOIN LATERAL (
    SELECT last_used_us FROM key_hours WHERE key_hours.key_hash = asked.key_hash ORDER BY hour DESC LIMIT 1
) AS latest
WHERE last_used_us IS NOT NULL;

-- name: spending
SELECT
    coalesce(sum({cost}), 0),
    coalesce(sum({cost}) FILTER (WHERE hour >= $2), 0),
    coalesce(sum({cost}) FILTER (WHERE hour >= $3), 0),
    coalesce(sum({cost}) FILTER (WHERE hour >= $4), 0)
FROM key_hours WHERE key_hash = $1;

-- name: lock_partitions
SELECT pg_advisory_xact_lock(1095912016, $1);

-- Read as a table: what a session remembers of names may be older than the lock.
-- name: partition_there
SELECT EXISTS (
    SELECT 1 FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'records'::regclass AND relname = $1::text
);

-- Made aside and attached: that keeps nobody from reading or writing, as making it in place would.
-- name: make_partition
CREATE TABLE {name} (LIKE records INCLUDING ALL);
ALTER TABLE records ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({beyond});

-- name: partitions
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'records'::regclass;

-- name: partition_empty
SELECT NOT EXISTS (SELECT 1 FROM {name});

-- name: partition_bytes
SELECT pg_relation_size(to_regclass($1::text));

-- name: vacate_partition
VACUUM (SKIP_LOCKED) {name};

-- To drop a partition takes its table from everybody. While this waits for those who read and write, all who come later
-- wait behind it; so it waits no longer than a commit takes, and what follows is bounded, too.
-- name: hold_records
SET LOCAL lock_timeout = '100ms';
SET LOCAL statement_timeout = '200ms';
LOCK TABLE ONLY records IN ACCESS EXCLUSIVE MODE;

-- name: drop_partition
DROP TABLE {name};

-- Nobody else adjusts them until the transaction has ended.
-- name: records_to_adjust
SELECT {columns}
FROM record_ids AS ids
JOIN records ON records.organization_id = ids.organization_id AND records.created_at_us = ids.created_at_us
    AND records.id = ids.id
WHERE ids.id = ANY($1::text[])
ORDER BY records.id FOR UPDATE OF records;

-- name: adjustments_there
SELECT id FROM adjustments WHERE id = ANY($1::text[]);

-- name: add_adjustments
INSERT INTO adjustments (
    batch, place, id, record_id, created_at_us, kind, cost, price_source, price_version, reason, author
)
SELECT $1::bigint, place, id, record_id, created_at_us, kind, cost, price_source, price_version, reason, author
FROM unnest(
    $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[]
) WITH ORDINALITY AS given (
    id, record_id, created_at_us, kind, cost, price_source, price_version, reason, author, place
);

-- name: hold_adjustments
UPDATE records SET holding_cost = given.cost, adjustment_id = given.adjustment_id, adjusted_batch = $1::bigint
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
    AS given (id, organization_id, created_at_us, adjustment_id, cost)
WHERE records.organization_id = given.organization_id AND records.created_at_us = given.created_at_us
    AND records.id = given.id;
