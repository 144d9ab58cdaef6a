-- name: record
SELECT {columns}
FROM record_ids AS ids
JOIN records ON records.organization_id = ids.organization_id AND records.created_at_us = ids.created_at_us
    AND records.id = ids.id
JOIN batches ON batches.id = records.batch
LEFT JOIN keys ON keys.hash = records.key_hash
LEFT JOIN adjustments ON adjustments.id = records.adjustment_id
LEFT JOIN batches AS adjusting ON adjusting.id = records.adjusted_batch
WHERE ids.organization_id = $1 AND ids.id = $2;

-- name: page
SELECT {columns}
FROM (SELECT * FROM records WHERE {where} ORDER BY created_at_us {direction}, id {direction} LIMIT {limit}) AS records
JOIN batches ON batches.id = records.batch
LEFT JOIN keys ON keys.hash = records.key_hash
LEFT JOIN adjustments ON adjustments.id = records.adjustment_id
LEFT JOIN batches AS adjusting ON adjusting.id = records.adjusted_batch
ORDER BY records.created_at_us {direction}, records.id {direction};

-- name: adjustments_of
SELECT {columns} FROM adjustments JOIN batches ON batches.id = adjustments.batch
WHERE record_id = $2 AND EXISTS (SELECT 1 FROM record_ids WHERE id = $2 AND organization_id = $1)
ORDER BY batches.no, adjustments.place;

-- name: user_span
SELECT min(first_seen_us), max(last_seen_us) FROM user_spans WHERE {where};

-- name: users
SELECT json_build_array(end_user, first, last)::text FROM (
    SELECT end_user, min(first_seen_us) AS first, max(last_seen_us) AS last
    FROM user_spans WHERE {where} GROUP BY end_user
) AS seen
WHERE {behind}
ORDER BY {order} LIMIT {limit};

-- name: slots
SELECT min(slot), max(slot) FROM rollups WHERE organization_id = $1;

-- Each day of UTC with sums between two slots, one step of the index for each.
-- name: occupied_days
WITH RECURSIVE days (day) AS (
    (SELECT slot / 96 FROM rollups WHERE organization_id = $1 AND slot >= $2 AND slot < $3 ORDER BY slot LIMIT 1)
    UNION ALL
    SELECT (
        SELECT slot / 96 FROM rollups
        WHERE organization_id = $1 AND slot >= (days.day + 1) * 96 AND slot < $3 ORDER BY slot LIMIT 1
    ) FROM days WHERE days.day IS NOT NULL
)
SELECT day FROM days WHERE day IS NOT NULL;

-- name: rollup_piece
SELECT {groups}end_user, requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens,
    total_tokens, cost, requests_without_usage, requests_without_price, latency_us, requests_with_latency
FROM rollups WHERE {where}

-- name: record_piece
SELECT {groups}end_user, 1 AS requests, (status <> 'success')::int AS errors, {prompt} AS prompt_tokens,
    {completion} AS completion_tokens, coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
    AS cached_tokens, coalesce(reasoning_tokens, 0) AS reasoning_tokens, {prompt} + {completion} AS total_tokens,
    coalesce(holding_cost, 0)::numeric AS cost,
    (coalesce({known}) IS NULL AND status <> 'rejected')::int AS requests_without_usage,
    (holding_cost IS NULL AND {prompt} + {completion} > 0)::int AS requests_without_price,
    coalesce(records.latency_us, 0) AS latency_us, (records.latency_us IS NOT NULL)::int AS requests_with_latency
FROM records {tags} WHERE {where}

-- name: each_tag
 CROSS JOIN LATERAL (
    SELECT DISTINCT tag FROM unnest(tags) AS tag UNION ALL SELECT NULL WHERE cardinality(tags) = 0
) AS tagged

-- name: sums
SELECT json_build_array({groups}{sums})::text FROM ({pieces}) AS matching{group_by}

-- name: users_of_groups
SELECT json_build_array({groups}count(*))::text
FROM (SELECT DISTINCT {groups}end_user FROM ({pieces}) AS matching WHERE end_user IS NOT NULL) AS pairs{group_by}

-- name: latencies
SELECT json_build_array({groups}
    min(latency) FILTER (WHERE place = (number * 50 + 99) / 100),
    min(latency) FILTER (WHERE place = (number * 95 + 99) / 100)
)::text FROM (
    SELECT {groups}latency, row_number() OVER (PARTITION BY {partition} ORDER BY latency) AS place,
        count(*) OVER (PARTITION BY {partition}) AS number
    FROM (SELECT {expressions}records.latency_us AS latency FROM records {tags} WHERE {where}
        AND records.latency_us IS NOT NULL) AS matching
) AS ordered{group_by}

-- name: count_up_to
SELECT count(*) FROM (SELECT 1 FROM records WHERE {where} LIMIT {most}) AS counted

-- name: user_costs
SELECT cost::text FROM (
    SELECT sum(cost) AS cost FROM ({pieces}) AS matching WHERE end_user IS NOT NULL GROUP BY end_user
) AS spent ORDER BY spent.cost DESC

-- name: keys_of_creator
key_hash = ANY(ARRAY(SELECT hash FROM keys WHERE organization_id = {organization} AND creator = {creator}))

-- name: updated_since
-- Records are found by the time of their creation: none of those was created before what the batches say.
created_at_us >= (SELECT min(earliest_us) FROM batches WHERE written_at_us >= {since})
AND (
    batch IN (SELECT id FROM batches WHERE written_at_us >= {since})
    OR adjusted_batch IN (SELECT id FROM batches WHERE written_at_us >= {since})
)

-- name: written_by
batch NOT IN (SELECT id FROM batches WHERE written_at_us > {until})
