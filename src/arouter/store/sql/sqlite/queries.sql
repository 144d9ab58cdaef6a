-- The statements of the SQLite backend. Those that return many rows return them as one JSON array: fetching row by
-- row would take and give back the interpreter's lock once for each, which is slow while an event loop is busy.
-- Words in braces are filled in by store/sqlite: column lists, conditions and rows of placeholders, never a value.

-- name: home
SELECT organization_id, workspace_id, secret FROM home WHERE one = 1;

-- name: set_home
INSERT INTO home (one, organization_id, workspace_id, secret) VALUES (1, ?, ?, ?);

-- name: revision
SELECT coalesce((SELECT revision FROM directory_revision WHERE one = 1), 0);

-- name: raise_revision
INSERT INTO directory_revision (one, revision) VALUES (1, 1) ON CONFLICT DO UPDATE SET revision = revision + 1;

-- name: find_key
SELECT {columns} FROM keys WHERE secret = ?;

-- name: get_key
SELECT {columns} FROM keys WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: list_keys
SELECT {columns} FROM keys
WHERE organization_id = ?1 AND secret IS NOT NULL AND disabled <= ?2 AND (?3 IS NULL OR creator = ?3)
ORDER BY created_at_us DESC, hash DESC LIMIT ?4 OFFSET ?5;

-- name: keys_of_creator
SELECT json_group_array(names.no) FROM keys JOIN names ON names.text = keys.hash
WHERE keys.organization_id = ? AND keys.creator = ?;

-- name: add_key
INSERT INTO keys ({columns}, secret) VALUES ({places}, ?);

-- name: replace_key
UPDATE keys SET ({columns}) = ({places}) WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: rotate_key
UPDATE keys SET secret = ?, label = ?, updated_at_us = ?
WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: delete_key
UPDATE keys SET secret = NULL, deleted_at_us = ? WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: add_provider_key
INSERT INTO provider_keys ({columns}) VALUES ({places});

-- name: get_provider_key
SELECT {columns} FROM provider_keys WHERE organization_id = ? AND id = ?;

-- name: list_provider_keys
SELECT {columns} FROM provider_keys WHERE organization_id = ? AND disabled <= ?
ORDER BY created_at_us DESC, id DESC LIMIT ? OFFSET ?;

-- name: replace_provider_key
UPDATE provider_keys SET name = ?, updated_at_us = ?, disabled = ?, byok_fallback = ?
WHERE organization_id = ? AND id = ?;

-- name: replace_provider_key_and_secret
UPDATE provider_keys
SET name = ?, updated_at_us = ?, disabled = ?, byok_fallback = ?, label = ?, sealed_with = ?, nonce = ?, ciphertext = ?
WHERE organization_id = ? AND id = ?;

-- name: reseal_provider_key
UPDATE provider_keys SET sealed_with = ?, nonce = ?, ciphertext = ?
WHERE organization_id = ? AND id = ? AND sealed_with = ? AND nonce = ? AND ciphertext = ?;

-- name: delete_provider_key
DELETE FROM provider_keys WHERE organization_id = ? AND id = ?;

-- name: sealed_provider_keys
SELECT {columns} FROM provider_keys WHERE organization_id = ? AND disabled = 0;

-- name: every_provider_key
SELECT {columns} FROM provider_keys WHERE id > ? ORDER BY id LIMIT ?;

-- name: provider_key_holders
SELECT DISTINCT organization_id, sealed_with FROM provider_keys WHERE disabled = 0;

-- name: find_name
SELECT no FROM names WHERE text = ?;

-- name: add_name
INSERT INTO names (text) VALUES (?);

-- name: find_users
SELECT json_array({rows});

-- name: find_user
(SELECT no FROM end_users WHERE organization_no = ? AND name = ?)

-- name: add_users
INSERT INTO end_users ({columns}) VALUES {rows};

-- name: texts_of_names
SELECT json_group_array(json_array(no, text)) FROM names WHERE no IN (SELECT value FROM json_each(?));

-- name: names_of_texts
SELECT json_group_array(json_array(no, text)) FROM names WHERE text IN (SELECT value FROM json_each(?));

-- name: users_of_texts
SELECT json_group_array(no) FROM end_users
WHERE organization_no = ? AND name IN (SELECT value FROM json_each(?));

-- name: texts_of_users
SELECT json_group_array(json_array(no, name)) FROM end_users WHERE no IN (SELECT value FROM json_each(?));

-- name: keys_of_hashes
SELECT json_group_array(json_array(hash, name, creator)) FROM keys
WHERE hash IN (SELECT value FROM json_each(?));

-- name: last_batch
SELECT no, last_seq, written_at_us, hash FROM batches ORDER BY no DESC LIMIT 1;

-- name: which_are_there
SELECT json_group_array(id) FROM records WHERE id IN (SELECT value FROM json_each(?));

-- name: add_records
INSERT INTO records ({columns}) VALUES {rows};

-- name: add_tags
INSERT INTO record_tags (seq, position, tag_no) VALUES {rows};

-- name: add_batch
INSERT INTO batches (no, first_seq, last_seq, written_at_us, earliest_us, hash) VALUES (?, ?, ?, ?, ?, ?);

-- name: which_adjustments_are_there
SELECT json_group_array(id) FROM adjustments WHERE id IN (SELECT value FROM json_each(?));

-- name: records_to_adjust
SELECT json_group_array(json_array(
    id, seq, created_at_us, {cost}, {used} > 0, created_at_us / 3600000000, organization_no, workspace_no, key_no,
    coalesce(user_no, 0), coalesce(model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no
))
FROM records LEFT JOIN adjusted ON adjusted_seq = seq
WHERE id IN (SELECT value FROM json_each(?));

-- name: adjustments_that_hold
SELECT json_group_array(json_array(records.id, adjustments.id))
FROM records JOIN adjusted ON adjusted_seq = records.seq JOIN adjustments ON adjustments.no = adjustment_no
WHERE records.id IN (SELECT value FROM json_each(?));

-- name: last_adjustment
SELECT coalesce(max(no), 0) FROM adjustments;

-- name: add_adjustments
INSERT INTO adjustments ({columns}) VALUES {rows};

-- name: set_adjusted
INSERT INTO adjusted ({columns}) VALUES {rows}
ON CONFLICT DO UPDATE SET
    adjustment_no = excluded.adjustment_no,
    adjusted_at_us = excluded.adjusted_at_us,
    adjusted_cost = excluded.adjusted_cost;

-- name: adjustments
SELECT json_group_array(json_array(
    adjustments.no, records.seq, adjustments.written_at_us, adjustments.id, records.id, adjustments.created_at_us,
    (SELECT text FROM names WHERE no = kind_no), adjustments.cost,
    (SELECT text FROM names WHERE no = adjustments.price_source_no),
    (SELECT text FROM names WHERE no = adjustments.price_version_no), reason, author
))
FROM adjustments JOIN records ON records.seq = record_seq
WHERE {where};

-- name: batches_with_adjustments
SELECT json_group_array(batch_no) FROM (SELECT DISTINCT batch_no FROM adjustments);

-- name: raise_rollups
INSERT INTO rollups ({columns})
SELECT created_at_us / 3600000000, organization_no, workspace_no, key_no, coalesce(user_no, 0),
    coalesce(model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no, {measures}
FROM records WHERE seq BETWEEN ?1 AND ?2
ON CONFLICT DO UPDATE SET {sums};

-- name: raise_key_hours
INSERT INTO key_hours (key_no, hour, requests, cost_units, cost_rest)
SELECT key_no, created_at_us / 3600000000, 1, coalesce(cost / 1000000, 0), coalesce(cost % 1000000, 0)
FROM records WHERE seq BETWEEN ?1 AND ?2
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest;

-- name: add_rollups
INSERT INTO rollups ({columns}) VALUES {rows} ON CONFLICT DO UPDATE SET {sums};

-- name: add_key_hours
INSERT INTO key_hours (key_no, hour, requests, cost_units, cost_rest) VALUES {rows}
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest;

-- name: add_open
INSERT INTO open_records (id, owner_no, opening) VALUES {rows} ON CONFLICT DO NOTHING;

-- name: forget_open
DELETE FROM open_records WHERE id IN (SELECT value FROM json_each(?));

-- name: add_owner
INSERT INTO owners (process_id, started_at_us) VALUES (?, ?);

-- name: owners
SELECT no FROM owners ORDER BY no;

-- name: forget_owner
DELETE FROM owners WHERE no = ? AND NOT EXISTS (SELECT 1 FROM open_records WHERE owner_no = owners.no);

-- name: open_of_others
SELECT json_group_array(json_array(owner_no, CAST(opening AS TEXT))) FROM open_records
WHERE owner_no NOT IN (SELECT value FROM json_each(?));

-- name: page
SELECT json_group_array(json_array({columns})) FROM (
    SELECT * FROM records INDEXED BY {index} LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE {where}
    ORDER BY created_at_us {direction}, id {direction}
    LIMIT ?
);

-- name: record
SELECT json_group_array(json_array({columns})) FROM records LEFT JOIN adjusted ON adjusted_seq = seq WHERE id = ?;

-- name: tags_of_records
SELECT json_group_array(json_array(seq, position, tag_no)) FROM record_tags
WHERE seq IN (SELECT value FROM json_each(?));

-- name: earliest_written_since
SELECT min(earliest_us) FROM batches WHERE written_at_us >= ?;

-- name: measures
1;
status_no IS NOT {success};
{prompt};
{completion};
coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0);
coalesce(reasoning_tokens, 0);
{prompt} + {completion};
coalesce({cost} / 1000000, 0);
coalesce({cost} % 1000000, 0);
coalesce({known}) IS NULL AND status_no IS NOT {rejected};
{cost} IS NULL AND {prompt} + {completion} > 0;
coalesce(latency_us, 0);
latency_us IS NOT NULL

-- name: effective_cost
iif(adjusted_seq IS NULL, cost, adjusted_cost)

-- name: summary
WITH grouped ({columns}) AS (
    SELECT {groups} {sums}, count(DISTINCT user_no)
    FROM records INDEXED BY {index} LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE {where} {group_by}
)
SELECT json_group_array(json_array({columns})) FROM grouped;

-- name: users_of_groups
WITH grouped ({columns}) AS (
    SELECT DISTINCT {groups} user_no
    FROM records INDEXED BY {index} LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE {where} AND user_no IS NOT NULL
)
SELECT json_group_array(json_array({columns})) FROM grouped;

-- name: distinct_users
SELECT count(DISTINCT user_no) FROM records INDEXED BY {index} LEFT JOIN adjusted ON adjusted_seq = seq
WHERE {where};

-- name: spending
SELECT coalesce(sum(cost_units), 0), coalesce(sum(cost_rest), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?2), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?2), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?3), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?3), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?4), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?4), 0)
FROM key_hours WHERE key_no = (SELECT no FROM names WHERE text = ?1);

-- name: byok_spending
WITH spent (created_at_us, units, rest) AS (
    SELECT created_at_us, {cost} / 1000000, {cost} % 1000000
    FROM records INDEXED BY records_on_own_keys LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE is_byok = 1 AND key_no = (SELECT no FROM names WHERE text = ?1)
)
SELECT coalesce(sum(units), 0), coalesce(sum(rest), 0),
    coalesce(sum(units) FILTER (WHERE created_at_us >= ?2), 0),
    coalesce(sum(rest) FILTER (WHERE created_at_us >= ?2), 0),
    coalesce(sum(units) FILTER (WHERE created_at_us >= ?3), 0),
    coalesce(sum(rest) FILTER (WHERE created_at_us >= ?3), 0),
    coalesce(sum(units) FILTER (WHERE created_at_us >= ?4), 0),
    coalesce(sum(rest) FILTER (WHERE created_at_us >= ?4), 0)
FROM spent;

-- name: count_records
SELECT count(*) FROM records;

-- name: last_seq
SELECT coalesce(max(seq), 0) FROM records;

-- name: count_open
SELECT count(*) FROM open_records;

-- name: differing_rollups
WITH counted AS (
    SELECT created_at_us / 3600000000 AS hour, organization_no, workspace_no, key_no, coalesce(user_no, 0) AS user_no,
        coalesce(model_no, 0) AS model_no, coalesce(provider_no, 0) AS provider_no, endpoint_no, status_no, {sums}
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM rollups)
    UNION ALL
    SELECT * FROM (SELECT * FROM rollups EXCEPT SELECT * FROM counted)
);

-- name: differing_key_hours
WITH counted AS (
    SELECT key_no, created_at_us / 3600000000 AS hour, count(*) AS requests,
        coalesce(sum({cost} / 1000000), 0) AS cost_units, coalesce(sum({cost} % 1000000), 0) AS cost_rest
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq GROUP BY 1, 2
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM key_hours)
    UNION ALL
    SELECT * FROM (SELECT * FROM key_hours EXCEPT SELECT * FROM counted)
);

-- name: differing_adjusted
WITH counted AS (
    SELECT record_seq, no, written_at_us, cost FROM adjustments
    WHERE no IN (SELECT max(no) FROM adjustments GROUP BY record_seq)
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM adjusted)
    UNION ALL
    SELECT * FROM (SELECT * FROM adjusted EXCEPT SELECT * FROM counted)
);

-- name: batches_after
SELECT no, first_seq, last_seq, written_at_us, earliest_us, hash FROM batches WHERE no > ? ORDER BY no LIMIT 1000;

-- name: records_between
SELECT json_group_array(json_array({columns})) FROM (
    SELECT * FROM records WHERE seq BETWEEN ? AND ? ORDER BY seq
);
