-- What is read and written to move a whole database. Words in braces are filled in.

-- name: copy_state
SELECT source, position, complete FROM copies WHERE one = 1;

-- name: begin_copy
INSERT INTO copies (one, source, position, complete) VALUES (1, $1, '', false);

-- name: set_position
UPDATE copies SET position = $1 WHERE one = 1;

-- name: end_copy
UPDATE copies SET complete = true WHERE one = 1;

-- name: schema_there
SELECT to_regclass('schema_version') IS NOT NULL;

-- name: columns_of
SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: count
SELECT count(*) FROM {table};

-- name: rows
SELECT {columns} FROM {table};

-- name: empty
DELETE FROM {table};

-- name: add_rows
INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays});

-- name: secret_of_home
SELECT secret FROM home;

-- name: expired_requests
SELECT coalesce(sum(requests), 0) FROM expired_days;

-- The ends of the chains, and the numbers by which processes see that something changed.
-- name: set_ends
INSERT INTO audit_ends (organization_id, no, at_us, hash)
SELECT DISTINCT ON (organization_id) organization_id, no, at_us, hash FROM audit ORDER BY organization_id, no DESC;

-- name: empty_ends
DELETE FROM audit_ends;

-- name: number_user_rules
UPDATE directory_revision SET user_rules = greatest(user_rules, (SELECT coalesce(max(changed), 0) FROM user_rules));

-- name: batches_behind
SELECT no, written_at_us, records FROM batches WHERE no > $1 ORDER BY no;

-- name: records_behind
SELECT batches.no, {columns}
FROM records JOIN batches ON batches.id = records.batch WHERE batches.no > $1 ORDER BY batches.no, records.place;

-- Those of records that have expired are left out.
-- name: adjustments_behind
SELECT batches.no, {columns}
FROM adjustments JOIN batches ON batches.id = adjustments.batch JOIN record_ids ON record_ids.id = adjustments.record_id
WHERE batches.no > $1
ORDER BY batches.no, adjustments.place;

-- name: next_batches
SELECT nextval('batch_ids') FROM generate_series(1, $1::integer);

-- name: add_records
INSERT INTO records (batch, place, holding_cost, {columns})
SELECT batch, place, cost, {values}
FROM unnest($1::bigint[], $2::integer[], {arrays}) AS given (batch, place, {columns});

-- The end of the chain, which nobody else changes until the transaction has ended.
-- name: lock_head
SELECT no, written_at_us, hash FROM ledger_head FOR UPDATE;

-- name: add_batches
INSERT INTO batches (id, no, written_at_us, earliest_us, records, digest, hash)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::bytea[], $7::bytea[]);

-- name: set_head
UPDATE ledger_head SET no = $1, written_at_us = $2, hash = $3;

-- name: user_spans
SELECT organization_id, end_user, key_hash, workspace_id, first_seen_us, last_seen_us FROM user_spans;

-- name: expired_days
SELECT organization_id, day, {measures} FROM expired_days;

-- name: rollups
SELECT {key}, {measures} FROM rollups;

-- name: expired_rollups
SELECT {key}, {measures} FROM rollups
WHERE (organization_id, (slot / 96)::integer) IN (SELECT organization_id, day FROM expired_days);

-- name: key_hours
SELECT key_hash, hour, cost, own_key_cost FROM key_hours;

-- name: expired_key_hours
SELECT key_hash, hour, cost, own_key_cost, last_used_us FROM key_hours WHERE hour / 24 IN (SELECT day FROM expired_days);

-- A workspace and a key are of one organization: its name is not needed to find them.
-- name: usage_days
SELECT scope, CASE scope WHEN 'user' THEN organization_id END, scope_id, day, sum(requests), sum(tokens), sum(cost)
FROM usage_days GROUP BY 1, 2, 3, 4;

-- name: widen_spans
INSERT INTO user_spans AS kept (organization_id, end_user, key_hash, workspace_id, first_seen_us, last_seen_us)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
ON CONFLICT (organization_id, end_user, key_hash, workspace_id) DO UPDATE SET
    first_seen_us = least(kept.first_seen_us, excluded.first_seen_us),
    last_seen_us = greatest(kept.last_seen_us, excluded.last_seen_us);

-- name: set_expired_days
INSERT INTO expired_days (organization_id, day, {measures}) SELECT * FROM unnest({arrays})
ON CONFLICT (organization_id, day) DO UPDATE SET ({measures}) = ({excluded});

-- name: sums_of_rollups
SELECT {key}, {measures} FROM rollups
WHERE (organization_id, slot, digest) IN (SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]));

-- name: set_own_key_costs
UPDATE key_hours SET own_key_cost = given.cost, last_used_us = greatest(last_used_us, given.used_us)
FROM unnest($1::text[], $2::integer[], $3::numeric[], $4::bigint[]) AS given (key_hash, hour, cost, used_us)
WHERE key_hours.key_hash = given.key_hash AND key_hours.hour = given.hour;
