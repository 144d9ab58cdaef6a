-- What records add to the sums by quarter of an hour, and what those are, where the two differ. Days of which records
-- have expired are looked at as a whole: see below.
-- name: differing_rollups
WITH counted AS (
    SELECT organization_id, created_at_us / 900000000 AS slot, workspace_id, key_hash, end_user, model,
        requested_model, provider, endpoint, status, {sums}
    FROM ({records}) AS records
    WHERE (organization_id, created_at_us / 86400000000) NOT IN (SELECT organization_id, day FROM expired_days)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
), kept AS (
    SELECT organization_id, slot, workspace_id, key_hash, end_user, model, requested_model, provider, endpoint, status,
        {columns}
    FROM rollups
    WHERE (organization_id, slot / 96) NOT IN (SELECT organization_id, day FROM expired_days)
)
SELECT count(*) FROM (
    SELECT DISTINCT organization_id, slot, workspace_id, key_hash, end_user, model, requested_model, provider, endpoint,
        status
    FROM ((TABLE counted EXCEPT ALL TABLE kept) UNION ALL (TABLE kept EXCEPT ALL TABLE counted)) AS differing
) AS sums;

-- name: differing_key_hours
WITH counted AS (
    SELECT key_hash, (created_at_us / 3600000000)::integer AS hour, sum(coalesce(holding_cost, 0)) AS cost,
        sum(CASE WHEN is_byok THEN coalesce(holding_cost, 0) ELSE 0 END) AS own_key_cost
    FROM records GROUP BY 1, 2
)
SELECT count(*) FROM counted FULL JOIN key_hours USING (key_hash, hour)
WHERE hour / 24 NOT IN (SELECT day FROM expired_days) AND (counted.cost, counted.own_key_cost) IS DISTINCT FROM (key_hours.cost, key_hours.own_key_cost);

-- Of days of which records have expired: what was noted of those, and the records that are left, make the sums.
-- name: differing_expired
WITH counted AS (
    SELECT organization_id, (created_at_us / 86400000000)::integer AS day, {sums}
    FROM ({records}) AS records GROUP BY 1, 2
), kept AS (
    SELECT organization_id, (slot / 96)::integer AS day, {sums} FROM rollups GROUP BY 1, 2
)
SELECT count(*) FROM expired_days LEFT JOIN counted USING (organization_id, day)
LEFT JOIN kept USING (organization_id, day)
WHERE ({added}) IS DISTINCT FROM ({kept});

-- Also of days whose records have expired: what keys spent, by the sums.
-- name: differing_key_days
WITH counted AS (
    SELECT key_hash, (slot / 4)::integer AS hour, sum(cost) AS cost FROM rollups GROUP BY 1, 2
)
SELECT count(*) FROM counted FULL JOIN key_hours USING (key_hash, hour)
WHERE counted.cost IS DISTINCT FROM key_hours.cost;

-- name: expired_records
SELECT coalesce(sum(requests), 0)::bigint FROM expired_days;

-- name: keys_used_later
SELECT count(*) FROM (
    SELECT key_hash, (created_at_us / 3600000000)::integer AS hour, max(created_at_us) AS last FROM records GROUP BY 1, 2
) AS used JOIN key_hours USING (key_hash, hour)
WHERE last_used_us IS NULL OR last_used_us < last;

-- name: differing_usage_days
WITH counted AS (
    SELECT scope, organization_id, scope_id, (slot / 96)::integer AS day,
        sum(CASE WHEN status = 'rejected' THEN 0 ELSE requests END) AS requests, sum(total_tokens) AS tokens,
        sum(cost) AS cost
    FROM rollups CROSS JOIN LATERAL (VALUES
        ('organization', organization_id), ('workspace', workspace_id), ('key', key_hash), ('user', end_user)
    ) AS scopes (scope, scope_id)
    WHERE scope_id IS NOT NULL
    GROUP BY 1, 2, 3, 4
)
SELECT count(*) FROM counted FULL JOIN usage_days USING (scope, organization_id, scope_id, day)
WHERE (counted.requests, counted.tokens, counted.cost)
    IS DISTINCT FROM (usage_days.requests::numeric, usage_days.tokens, usage_days.cost);

-- name: user_spans_too_narrow
SELECT count(*) FROM (
    SELECT organization_id, end_user, key_hash, workspace_id, min(created_at_us) AS first, max(created_at_us) AS last
    FROM records WHERE end_user IS NOT NULL GROUP BY 1, 2, 3, 4
) AS seen LEFT JOIN user_spans USING (organization_id, end_user, key_hash, workspace_id)
WHERE first_seen_us IS NULL OR first_seen_us > first OR last_seen_us < last;

-- name: differing_ids
SELECT count(*) FROM (SELECT id, organization_id, created_at_us FROM records) AS written
FULL JOIN record_ids USING (id, organization_id, created_at_us)
WHERE written.id IS NULL OR record_ids.id IS NULL;

-- The adjustment that was written last, and the one that holds.
-- name: differing_adjusted
WITH latest AS (
    SELECT DISTINCT ON (record_id) record_id AS id, adjustments.id AS adjustment_id, adjustments.batch,
        adjustments.cost
    FROM adjustments JOIN batches ON batches.id = adjustments.batch
    ORDER BY record_id, batches.no DESC, place DESC
)
SELECT count(*) FROM records LEFT JOIN latest USING (id)
WHERE records.adjustment_id IS DISTINCT FROM latest.adjustment_id OR adjusted_batch IS DISTINCT FROM latest.batch
    OR holding_cost IS DISTINCT FROM CASE WHEN latest.id IS NULL THEN records.cost ELSE latest.cost END;

-- name: count_records
SELECT count(*) FROM records;

-- name: count_open
SELECT count(*) FROM open_records;

-- name: open_of_dead
SELECT count(*) FROM open_records WHERE owner = ANY($1::integer[]);

-- name: batches
SELECT id, no, written_at_us, records, digest, hash FROM batches ORDER BY no;

-- name: head
SELECT no, hash FROM ledger_head;

-- name: records_in_order
SELECT batches.no, {columns}
FROM records JOIN batches ON batches.id = records.batch ORDER BY batches.no, records.place;

-- name: adjustments_in_order
SELECT batches.no, {columns}
FROM adjustments JOIN batches ON batches.id = adjustments.batch ORDER BY batches.no, adjustments.place;

-- name: without_batch
SELECT (SELECT count(*) FROM records WHERE batch NOT IN (SELECT id FROM batches))
    + (SELECT count(*) FROM adjustments WHERE batch NOT IN (SELECT id FROM batches));
