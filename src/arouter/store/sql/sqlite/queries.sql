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

-- Behind the one that raised the revision.
-- name: note_change
INSERT INTO directory_changes (revision, things) SELECT revision, ? FROM directory_revision WHERE one = 1;

-- name: forget_changes
DELETE FROM directory_changes WHERE revision <= (SELECT revision FROM directory_revision WHERE one = 1) - ?;

-- name: changes_after
SELECT last.revision, things
FROM directory_revision AS last LEFT JOIN directory_changes AS change ON change.revision > ?
WHERE one = 1;

-- name: find_key
SELECT {columns} FROM keys WHERE secret = ?;

-- name: get_key
SELECT {columns} FROM keys WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: find_key_by_previous
SELECT {columns} FROM keys WHERE previous_secret = ?;

-- name: secrets_of
SELECT secret, previous_secret, previous_expires_at_us FROM keys
WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: has_keys
SELECT EXISTS (SELECT 1 FROM keys WHERE organization_id = ? AND secret IS NOT NULL);

-- name: list_keys
SELECT {columns} FROM keys
WHERE organization_id = ?1 AND secret IS NOT NULL AND disabled <= ?2 AND (?3 IS NULL OR creator = ?3)
ORDER BY created_at_us DESC, hash DESC LIMIT ?4 OFFSET ?5;

-- name: keys_of_creator
SELECT json_group_array(names.no) FROM keys JOIN names ON names.text = keys.hash
WHERE keys.organization_id = ? AND keys.creator = ?;

-- name: label_keys
SELECT json_group_array(json_array(hash, name, creator)) FROM keys
WHERE organization_id = ? AND hash IN (SELECT value FROM json_each(?));

-- name: add_key
INSERT INTO keys ({columns}, secret) VALUES ({places}, ?);

-- name: replace_key
UPDATE keys SET ({columns}) = ({places}) WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

-- name: rotate_key
UPDATE keys SET secret = ?1, label = ?2, updated_at_us = ?3, previous_expires_at_us = ?4,
    previous_secret = CASE WHEN ?4 IS NULL THEN NULL ELSE secret END
WHERE organization_id = ?5 AND hash = ?6 AND secret IS NOT NULL;

-- name: delete_key
UPDATE keys SET secret = NULL, previous_secret = NULL, previous_expires_at_us = NULL, deleted_at_us = ?
WHERE organization_id = ? AND hash = ? AND secret IS NOT NULL;

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

-- name: greatest_user
SELECT coalesce(max(no), 0) FROM end_users;

-- name: users_of_texts
SELECT json_group_array(no) FROM end_users
WHERE organization_no = ? AND name IN (SELECT value FROM json_each(?));

-- name: texts_of_users
SELECT json_group_array(json_array(no, name)) FROM end_users WHERE no IN (SELECT value FROM json_each(?));

-- name: names_of_users
SELECT json_group_array(name) FROM json_each(?) LEFT JOIN end_users ON no = value;

-- name: keys_of_hashes
SELECT json_group_array(json_array(hash, name, creator)) FROM keys
WHERE hash IN (SELECT value FROM json_each(?));

-- name: last_batch
SELECT no, last_seq, written_at_us, hash FROM batches ORDER BY no DESC LIMIT 1;

-- name: which_are_there
SELECT json_group_array(id) FROM records WHERE id IN (SELECT value FROM json_each(?));

-- name: add_records
-- FAIL: who calls rolls everything back. Else SQLite would keep each page as it was, to undo this statement alone.
INSERT OR FAIL INTO records ({columns}) VALUES {rows};

-- name: add_tags
INSERT INTO record_tags (seq, position, tag_no) VALUES {rows};

-- name: add_batches
INSERT INTO batches ({columns}) VALUES {rows};

-- name: add_batch
INSERT INTO batches (no, first_seq, last_seq, written_at_us, earliest_us, hash) VALUES (?, ?, ?, ?, ?, ?);

-- name: which_adjustments_are_there
SELECT json_group_array(id) FROM adjustments WHERE id IN (SELECT value FROM json_each(?));

-- name: records_to_adjust
SELECT json_group_array(json_array(
    id, seq, created_at_us, {cost}, {used} > 0, is_byok, created_at_us / 900000000, organization_no, workspace_no, key_no,
    coalesce(user_no, 0), coalesce(model_no, 0), coalesce(requested_model_no, 0), coalesce(provider_no, 0),
    endpoint_no, status_no
))
FROM records LEFT JOIN adjusted ON adjusted_seq = seq
WHERE id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
    SELECT 1 FROM sealed_days AS d WHERE d.state = 3 AND d.organization_no = records.organization_no
        AND d.day = created_at_us / 86400000000 AND seq <= d.last_seq
);

-- name: adjustments_that_hold
SELECT json_group_array(json_array(adjusted_seq, id)) FROM adjusted JOIN adjustments ON no = adjustment_no
WHERE adjusted_seq IN (SELECT value FROM json_each(?));

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
    adjustments.no, record_seq, written_at_us, id, created_at_us,
    (SELECT text FROM names WHERE no = kind_no), cost,
    (SELECT text FROM names WHERE no = price_source_no),
    (SELECT text FROM names WHERE no = price_version_no), reason, author
))
FROM adjustments
WHERE {where};

-- name: batches_with_adjustments
SELECT json_group_array(batch_no) FROM (SELECT DISTINCT batch_no FROM adjustments);

-- name: raise_rollups
-- LIMIT: else tokens would be added up anew wherever a measure names them.
INSERT INTO rollups ({columns})
SELECT created_at_us / 900000000, organization_no, workspace_no, key_no, coalesce(user_no, 0), coalesce(model_no, 0),
    coalesce(requested_model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no, {measures}
FROM (
    SELECT created_at_us, organization_no, workspace_no, key_no, user_no, model_no, requested_model_no, provider_no,
        endpoint_no, status_no, cache_read_tokens, cache_read_audio_tokens, reasoning_tokens, cost, latency_us,
        {prompt} AS prompt, {completion} AS completion, {known} AS known
    FROM records WHERE seq BETWEEN ?1 AND ?2 LIMIT -1
)
WHERE true
ON CONFLICT DO UPDATE SET {sums};

-- name: sums_of_keys
-- What records add to the sums of their keys, workspaces and organizations. To sort them for this is most of the work,
-- so it is done once, and on as few columns as can be.
SELECT json_group_array(json_array(
    key_no, workspace_no, organization_no, hour, requests, counted, tokens, units, rest, last_used_us
)) FROM (
    SELECT key_no, workspace_no, organization_no, hour, count(*) AS requests, sum(counts) AS counted,
        sum(used) AS tokens, sum(cost_units) AS units, sum(cost_rest) AS rest, max(created_at_us) AS last_used_us
    FROM (
        SELECT key_no, workspace_no, organization_no, created_at_us / 3600000000 AS hour,
            status_no IS NOT ?3 AS counts, {used} AS used, coalesce(cost / 1000000, 0) AS cost_units,
            coalesce(cost % 1000000, 0) AS cost_rest, created_at_us
        FROM records WHERE seq BETWEEN ?1 AND ?2
    )
    GROUP BY 1, 2, 3, 4
);

-- name: raise_key_hours
INSERT INTO key_hours (key_no, hour, requests, cost_units, cost_rest, last_used_us)
SELECT value ->> 0, value ->> 3, value ->> 4, value ->> 7, value ->> 8, value ->> 9 FROM json_each(?) WHERE true
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest,
    last_used_us = max(last_used_us, excluded.last_used_us);

-- name: add_user_spans
INSERT INTO user_spans ({columns}) VALUES {rows}
ON CONFLICT DO UPDATE SET
    first_seen_us = min(first_seen_us, excluded.first_seen_us),
    last_seen_us = max(last_seen_us, excluded.last_seen_us);

-- name: widen_user_spans
INSERT INTO user_spans (organization_no, user_no, key_no, workspace_no, first_seen_us, last_seen_us)
SELECT organization_no, user_no, key_no, workspace_no, created_at_us, created_at_us
FROM records WHERE seq BETWEEN ?1 AND ?2 AND user_no IS NOT NULL
ON CONFLICT DO UPDATE SET
    first_seen_us = min(first_seen_us, excluded.first_seen_us),
    last_seen_us = max(last_seen_us, excluded.last_seen_us);

-- name: raise_own_key_hours
INSERT INTO own_key_hours (key_no, hour, cost_units, cost_rest)
SELECT key_no, created_at_us / 3600000000, coalesce(sum(cost / 1000000), 0), coalesce(sum(cost % 1000000), 0)
FROM records WHERE seq BETWEEN ?1 AND ?2 AND is_byok = 1
GROUP BY 1, 2
ON CONFLICT DO UPDATE SET
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest;

-- name: add_own_key_hours
INSERT INTO own_key_hours (key_no, hour, cost_units, cost_rest) VALUES {rows}
ON CONFLICT DO UPDATE SET
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest;

-- name: add_rollups
INSERT INTO rollups ({columns}) VALUES {rows} ON CONFLICT DO UPDATE SET {sums};

-- name: add_key_hours
INSERT INTO key_hours (key_no, hour, requests, cost_units, cost_rest, last_used_us) VALUES {rows}
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    cost_units = cost_units + excluded.cost_units,
    cost_rest = cost_rest + excluded.cost_rest,
    last_used_us = max(last_used_us, excluded.last_used_us);

-- name: add_open
INSERT INTO open_records (id, owner_no, opening) VALUES {rows} ON CONFLICT DO NOTHING;

-- name: has_open
SELECT EXISTS (SELECT 1 FROM open_records);

-- name: forget_open
DELETE FROM open_records WHERE id IN (SELECT value FROM json_each(?));

-- name: add_arrival_files
INSERT INTO arrival_files (no, booked) VALUES (?, ?);

-- name: arrival_files
SELECT no, booked FROM arrival_files;

-- name: note_booked
UPDATE arrival_files SET booked = ?2 WHERE no = ?1;

-- name: forget_arrival_files
DELETE FROM arrival_files WHERE no = ?;

-- name: forget_all_arrival_files
DELETE FROM arrival_files;

-- name: has_arrivals
SELECT EXISTS (SELECT 1 FROM arrivals);

-- name: arrivals
SELECT arrived_at_us, records FROM arrivals ORDER BY no;

-- name: forget_arrivals
DELETE FROM arrivals;

-- name: set_aside_arrivals
INSERT INTO arrivals_set_aside (records, reason) VALUES (?, ?);

-- name: has_set_aside
SELECT EXISTS (SELECT 1 FROM arrivals_set_aside);

-- name: set_aside
SELECT no, records FROM arrivals_set_aside ORDER BY no;

-- name: forget_set_aside
DELETE FROM arrivals_set_aside WHERE no = ?;

-- name: why_set_aside
SELECT reason FROM arrivals_set_aside ORDER BY no;

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
SELECT json_group_array(json_array({columns})) FROM records LEFT JOIN adjusted ON adjusted_seq = seq
WHERE id = ? AND NOT EXISTS (
    SELECT 1 FROM sealed_days AS d WHERE d.state = 3 AND d.organization_no = records.organization_no
        AND d.day = created_at_us / 86400000000 AND seq <= d.last_seq
);

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
{known} IS NULL AND status_no IS NOT {rejected};
{cost} IS NULL AND {prompt} + {completion} > 0;
coalesce(latency_us, 0);
latency_us IS NOT NULL

-- name: effective_cost
iif(adjusted_seq IS NULL, cost, adjusted_cost)

-- name: ranges
(SELECT value ->> 0 AS first, value ->> 1 AS beyond, value ->> 2 AS bucket FROM json_each(?) LIMIT -1) CROSS JOIN

-- name: records_and_adjusted
records INDEXED BY {index} LEFT JOIN adjusted ON adjusted_seq = records.seq

-- name: each_tag
LEFT JOIN record_tags AS tagged ON tagged.seq = records.seq AND NOT EXISTS (
    SELECT 1 FROM record_tags AS before
    WHERE before.seq = tagged.seq AND before.position < tagged.position AND before.tag_no = tagged.tag_no
)

-- name: grouped
WITH grouped ({columns}) AS (SELECT {values} FROM {source} WHERE {where} {group_by})
SELECT json_group_array(json_array({columns})) FROM grouped;

-- name: users_of_groups
WITH pairs ({columns}, user_no) AS ({pairs}),
grouped ({columns}, users) AS (SELECT {columns}, count(*) FROM pairs GROUP BY {columns})
SELECT json_group_array(json_array({columns}, users)) FROM grouped;

-- name: pairs
SELECT DISTINCT {values} FROM {source} WHERE {where} AND {user} > 0

-- name: each_pair
WITH pairs ({columns}) AS ({pairs})
SELECT json_group_array(json_array({columns})) FROM pairs;

-- name: distinct_users
SELECT count(*) FROM ({pairs});

-- name: latencies
WITH found ({columns}) AS (SELECT {values} FROM {source} WHERE {where} AND latency_us IS NOT NULL)
SELECT json_group_array(json_array({columns})) FROM found;

-- name: count_up_to
SELECT count(*) FROM (SELECT 1 FROM records INDEXED BY {index} WHERE {where} LIMIT ?);

-- name: slots_of_organization
SELECT (SELECT min(slot) FROM rollups WHERE organization_no = ?1), (SELECT max(slot) FROM rollups WHERE organization_no = ?1);

-- name: occupied_days
WITH RECURSIVE days (day) AS (
    SELECT (SELECT min(slot) FROM rollups WHERE organization_no = ?1 AND slot >= ?2) / 96
    UNION ALL
    SELECT (SELECT min(slot) FROM rollups WHERE organization_no = ?1 AND slot >= (day + 1) * 96) / 96 FROM days
    WHERE day IS NOT NULL AND (day + 1) * 96 < ?3
)
SELECT json_group_array(day) FROM days WHERE day IS NOT NULL AND day * 96 < ?3;

-- name: folded_beyond
SELECT coalesce(max(day * 96 + quarters), 0) FROM folded_days;

-- name: unfold_days_of_records
DELETE FROM folded_days WHERE EXISTS (
    SELECT 1 FROM records
    WHERE seq BETWEEN ? AND ? AND records.organization_no = folded_days.organization_no
        AND created_at_us >= day * 86400000000 AND created_at_us < day * 86400000000 + quarters * 900000000
);

-- name: unfold_day
DELETE FROM folded_days WHERE organization_no = ? AND day = ? AND quarters > ?;

-- name: unfold_all
DELETE FROM folded_days;

-- name: folded_days
SELECT json_group_array(json_array(day, quarters, claim)) FROM (
    SELECT day, max(quarters) AS quarters, claim FROM folded_days WHERE organization_no = ? AND ready = 1
    GROUP BY day ORDER BY day
);

-- name: organizations_with_sums
WITH RECURSIVE found (no) AS (
    SELECT min(organization_no) FROM rollups
    UNION ALL
    SELECT (SELECT min(organization_no) FROM rollups WHERE organization_no > no) FROM found WHERE no IS NOT NULL
)
SELECT json_group_array(no) FROM found WHERE no IS NOT NULL;

-- name: days_in_hand
SELECT json_group_array(json_array(day, quarters)) FROM (
    SELECT day, max(quarters) AS quarters FROM folded_days
    WHERE organization_no = ? AND (ready = 1 OR claimed_at_us > ?) GROUP BY day
);

-- name: has_rollups
SELECT count(*) FROM (SELECT 1 FROM rollups WHERE organization_no = ? AND slot >= ? AND slot < ? LIMIT ?);

-- name: claim_day
INSERT INTO folded_days (claim, organization_no, day, quarters, claimed_at_us, ready)
SELECT ?1, ?2, ?3, ?4, ?5, 0 WHERE NOT EXISTS (
    SELECT 1 FROM folded_days
    WHERE organization_no = ?2 AND day = ?3 AND quarters >= ?4 AND (ready = 1 OR claimed_at_us > ?6)
);

-- name: is_claimed
SELECT count(*) FROM folded_days WHERE claim = ? AND ready = 0;

-- name: add_block
INSERT INTO day_blocks (claim, kind, first_user_no, data) VALUES (?, ?, ?, ?);

-- name: day_is_ready
UPDATE folded_days SET ready = 1 WHERE claim = ? AND ready = 0;

-- name: forget_others
DELETE FROM folded_days WHERE organization_no = ? AND day = ? AND claim <> ? AND quarters <= ?;

-- name: sums_of_slots
SELECT {columns} FROM rollups WHERE organization_no = ? AND slot >= ? AND slot < ?;

-- name: void_claims
WITH RECURSIVE claims (claim) AS (
    SELECT min(claim) FROM day_blocks
    UNION ALL
    SELECT (SELECT min(claim) FROM day_blocks WHERE day_blocks.claim > claims.claim) FROM claims
    WHERE claim IS NOT NULL
)
SELECT json_group_array(claim) FROM claims
WHERE claim IS NOT NULL AND claim NOT IN (SELECT claim FROM folded_days);

-- name: forget_blocks
DELETE FROM day_blocks WHERE rowid IN (SELECT rowid FROM day_blocks WHERE claim = ? LIMIT ?);

-- name: count_rollups_of_slot
SELECT count(*) FROM rollups WHERE organization_no = ? AND slot = ?;

-- name: rollups_of_slot
SELECT json_group_array(json_array({columns})) FROM rollups
WHERE organization_no = ? AND slot = ? AND user_no % ? = ?;

-- name: blocks_of_day
SELECT data FROM day_blocks WHERE claim = ? AND kind = ? ORDER BY first_user_no;

-- name: blocks_of_users
WITH wanted (claim, first) AS (
    SELECT DISTINCT claims.value, (
        SELECT max(first_user_no) FROM day_blocks
        WHERE claim = claims.value AND kind = ?1 AND first_user_no <= users.value
    )
    FROM json_each(?2) AS claims CROSS JOIN json_each(?3) AS users
)
SELECT wanted.claim, data FROM wanted CROSS JOIN day_blocks
WHERE day_blocks.claim = wanted.claim AND kind = ?1 AND first_user_no = wanted.first;

-- name: user_span
SELECT min(first_seen_us), max(last_seen_us) FROM user_spans
WHERE {where} AND user_no = (SELECT no FROM end_users WHERE organization_no = ? AND name = ?);

-- name: users_by_name
SELECT json_group_array(json_array(name, first_seen_us, last_seen_us)) FROM (
    SELECT name, min(first_seen_us) AS first_seen_us, max(last_seen_us) AS last_seen_us
    FROM end_users CROSS JOIN user_spans ON user_no = no
    WHERE end_users.organization_no = ? AND {named} AND {where}
    GROUP BY name
    ORDER BY name {direction}
    LIMIT ?
);

-- name: users_by_time
WITH seen AS (
    SELECT user_no, min(first_seen_us) AS first_seen_us, max(last_seen_us) AS last_seen_us
    FROM user_spans WHERE {where} GROUP BY user_no
)
SELECT json_group_array(json_array(name, first_seen_us, last_seen_us)) FROM (
    SELECT name, first_seen_us, last_seen_us FROM seen CROSS JOIN end_users ON no = user_no
    WHERE {named}
    ORDER BY {at} {direction}, name {direction}
    LIMIT ?
);

-- name: sums_of_users
SELECT {user}, {sums} FROM {source} WHERE {where} GROUP BY 1;

-- name: user_costs
WITH pieces ({columns}) AS ({pieces}),
added AS (
    SELECT sum(cost_units) AS units, sum(cost_rest) AS rest FROM pieces WHERE user_no > 0 GROUP BY user_no
),
-- Costs can be below zero: only with a rest that is not are they in the order of their two parts.
whole AS (
    SELECT units + (rest - (rest % 1000000 + 1000000) % 1000000) / 1000000 AS units,
        (rest % 1000000 + 1000000) % 1000000 AS rest
    FROM added
),
placed AS (SELECT units, rest, row_number() OVER (ORDER BY units DESC, rest DESC) - 1 AS place FROM whole)
SELECT json_group_array(json_array(units, rest) ORDER BY place) FROM placed
GROUP BY place / {at_once} ORDER BY place / {at_once};

-- name: user_spans_too_narrow
WITH counted AS (
    SELECT organization_no, user_no, key_no, workspace_no, min(created_at_us) AS first, max(created_at_us) AS last
    FROM records WHERE user_no IS NOT NULL GROUP BY 1, 2, 3, 4
)
SELECT count(*) FROM counted LEFT JOIN user_spans USING (organization_no, user_no, key_no, workspace_no)
WHERE first_seen_us IS NULL OR first_seen_us > first OR last_seen_us < last;

-- name: last_used
SELECT json_group_array(json_array(hash, last)) FROM (
    SELECT text AS hash, (
        SELECT last_used_us FROM key_hours WHERE key_no = names.no ORDER BY hour DESC LIMIT 1
    ) AS last
    FROM names WHERE text IN (SELECT value FROM json_each(?))
) WHERE last IS NOT NULL;

-- name: spending
SELECT coalesce(sum(cost_units), 0), coalesce(sum(cost_rest), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?2), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?2), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?3), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?3), 0),
    coalesce(sum(cost_units) FILTER (WHERE hour >= ?4), 0), coalesce(sum(cost_rest) FILTER (WHERE hour >= ?4), 0)
FROM {hours} WHERE key_no = (SELECT no FROM names WHERE text = ?1);

-- name: count_records
SELECT (SELECT count(*) FROM records)
    + (SELECT coalesce(sum(records), 0) FROM sealed_days WHERE state IN (1, 2))
    - (SELECT coalesce(sum((
        SELECT count(*) FROM records INDEXED BY records_by_time
        WHERE organization_no = d.organization_no AND created_at_us >= d.day * 86400000000
            AND created_at_us < (d.day + 1) * 86400000000 AND seq <= d.last_seq
    )), 0) FROM sealed_days AS d WHERE state IN (1, 3));

-- name: last_seq
SELECT coalesce(max(seq), 0) FROM records;

-- name: count_open
SELECT count(*) FROM open_records;

-- name: differing_rollups
WITH others AS (
    SELECT organization_no, day FROM sealed_days WHERE state > 0 UNION SELECT organization_no, day FROM expired_days
),
counted AS (
    SELECT created_at_us / 900000000, organization_no, workspace_no, key_no, coalesce(user_no, 0),
        coalesce(model_no, 0), coalesce(requested_model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no, {sums}
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE (organization_no, created_at_us / 86400000000) NOT IN (SELECT * FROM others)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
),
kept AS (SELECT * FROM rollups WHERE (organization_no, slot / 96) NOT IN (SELECT * FROM others))
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
    UNION ALL
    SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)
);

-- name: differing_key_hours
WITH counted AS (
    SELECT key_no, created_at_us / 3600000000 AS hour, count(*) AS requests,
        coalesce(sum({cost} / 1000000), 0) AS cost_units, coalesce(sum({cost} % 1000000), 0) AS cost_rest,
        max(created_at_us) AS last_used_us
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq GROUP BY 1, 2
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM key_hours)
    UNION ALL
    SELECT * FROM (SELECT * FROM key_hours EXCEPT SELECT * FROM counted)
);

-- name: keys_used_later
SELECT count(*) FROM (
    SELECT key_no, created_at_us / 3600000000 AS hour, max(created_at_us) AS last FROM records GROUP BY 1, 2
) JOIN key_hours USING (key_no, hour)
WHERE last_used_us < last;

-- name: differing_key_hours_of_sums
WITH counted AS (
    SELECT key_no, slot / 4 AS hour, sum(requests) AS requests, sum(cost_units) AS cost_units,
        sum(cost_rest) AS cost_rest
    FROM rollups GROUP BY 1, 2
),
kept AS (SELECT key_no, hour, requests, cost_units, cost_rest FROM key_hours)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
    UNION ALL
    SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)
);

-- name: own_key_hours
SELECT json_group_array(json_array(key_no, hour, cost_units, cost_rest)) FROM own_key_hours;

-- name: own_key_hours_of_rows
WITH counted AS (
    SELECT key_no, created_at_us / 3600000000 AS hour,
        coalesce(sum({cost} / 1000000), 0) AS cost_units, coalesce(sum({cost} % 1000000), 0) AS cost_rest
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE is_byok = 1 AND NOT EXISTS (
        SELECT 1 FROM sealed_days AS d WHERE d.organization_no = records.organization_no
            AND d.day = created_at_us / 86400000000 AND d.state = 1 AND seq <= d.last_seq
    )
    GROUP BY 1, 2
)
SELECT json_group_array(json_array(key_no, hour, cost_units, cost_rest)) FROM counted;

-- name: days_expired_anywhere
SELECT json_group_array(day) FROM (SELECT day FROM expired_days UNION SELECT day FROM sealed_days WHERE state = 3);

-- name: sealed_days
SELECT json_group_array(json_array(no, organization_no, day, last_seq)) FROM (
    SELECT * FROM sealed_days WHERE state IN (1, 2) ORDER BY organization_no, day
);

-- name: rollups_of_rows
WITH counted ({columns}) AS (
    SELECT created_at_us / 900000000, organization_no, workspace_no, key_no, coalesce(user_no, 0),
        coalesce(model_no, 0), coalesce(requested_model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no, {sums}
    FROM records INDEXED BY records_by_time LEFT JOIN adjusted ON adjusted_seq = seq
    WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ? AND seq > ?
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
)
SELECT json_group_array(json_array({columns})) FROM counted;

-- name: user_blocks_of_buckets
SELECT present, size, data FROM user_blocks INDEXED BY user_blocks_by_day
WHERE day_no = ? AND bucket BETWEEN ? AND ? ORDER BY bucket, part;

-- name: counts_of_blocks
SELECT (SELECT records FROM sealed_days WHERE no = ?), (SELECT sum(records) FROM time_blocks WHERE day_no = ?),
    (SELECT sum(records) FROM user_blocks WHERE day_no = ?);

-- name: bytes_of_day
SELECT data, records FROM time_blocks WHERE day_no = ? ORDER BY first_us, no;

-- name: blocks_by_seq
SELECT json_group_array(json_array(first_seq, no)) FROM (
    SELECT first_seq, no FROM time_blocks
    WHERE day_no IN (SELECT no FROM sealed_days WHERE state IN (1, 2))
        AND day_no NOT IN (SELECT blocks_of FROM batches WHERE blocks_of IS NOT NULL)
    ORDER BY first_seq
);

-- name: time_block
SELECT present, size, data FROM time_blocks WHERE no = ?;

-- name: has_expired_days
SELECT EXISTS (SELECT 1 FROM expired_days) OR EXISTS (SELECT 1 FROM sealed_days WHERE state = 3);

-- name: expired_records
SELECT iif(EXISTS (SELECT 1 FROM sealed_days WHERE state = 3), NULL, coalesce(sum(requests), 0)) FROM expired_days;

-- name: expired_days
SELECT json_group_array(json_array(organization_no, day, {columns})) FROM expired_days
WHERE (organization_no, day) NOT IN (SELECT organization_no, day FROM sealed_days WHERE state = 3);

-- name: sums_of_rows
SELECT {sums} FROM records INDEXED BY records_by_time LEFT JOIN adjusted ON adjusted_seq = seq
WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ?;

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
SELECT no, first_seq, last_seq, written_at_us, earliest_us, hash, blocks_of FROM batches WHERE no > ? ORDER BY no LIMIT 1000;

-- name: records_between
SELECT json_group_array(json_array({columns})) FROM (
    SELECT * FROM records WHERE seq BETWEEN ? AND ? ORDER BY seq
);

-- name: has_sealed_days
SELECT EXISTS (SELECT 1 FROM sealed_days);

-- name: sealed_range
SELECT min(day), max(day) FROM sealed_days WHERE organization_no = ? AND state IN (1, 2);

-- name: hidden_rows
SELECT json_group_array(json_array(day, last_seq)) FROM sealed_days WHERE state IN (1, 3) AND organization_no = ?;

-- name: unseen_days
SELECT no FROM sealed_days WHERE state IN (0, 3)

-- name: time_blocks
SELECT present, size, data, records FROM time_blocks INDEXED BY time_blocks_by_time
WHERE organization_no = ? AND first_us > ? AND first_us < ? AND last_us >= ? AND day_no NOT IN ({unseen}) {masks}
ORDER BY first_us {direction}, no {direction};

-- name: user_blocks
SELECT present, size, data, records FROM user_blocks INDEXED BY user_blocks_by_user
WHERE organization_no = ? AND bucket = ? AND day BETWEEN ? AND ?
    AND users & ? <> 0 AND first_us < ? AND last_us >= ? AND day_no NOT IN ({unseen})
ORDER BY day {direction}, part {direction};

-- name: records_of_blocks
SELECT coalesce(sum(records), 0) FROM ({blocks});

-- name: organizations_with_sealed_days
SELECT json_group_array(organization_no) FROM (SELECT DISTINCT organization_no FROM sealed_days);

-- name: sealed_ids
SELECT json_group_array(json_array(id, created_at_us)) FROM sealed_ids
WHERE id IN (SELECT value FROM json_each(?)) AND day_no NOT IN ({unseen});

-- name: adjusted_of
SELECT json_group_array(json_array(adjusted_seq, adjustment_no, adjusted_at_us, adjusted_cost)) FROM adjusted
WHERE adjusted_seq IN (SELECT value FROM json_each(?));

-- name: adjusted_between
SELECT json_group_array(json_array(adjusted_seq, adjustment_no, adjusted_at_us, adjusted_cost)) FROM adjusted
WHERE adjusted_seq BETWEEN ? AND ?;

-- name: is_sealed
SELECT EXISTS (SELECT 1 FROM sealed_days WHERE organization_no = ? AND day = ? AND state IN (1, 2));

-- name: sealed_ids_range
SELECT max(day), EXISTS (SELECT 1 FROM sealed_ids) FROM sealed_days;

-- name: days_in_change
SELECT json_group_array(json_array(no, organization_no, day, last_seq, state, records)) FROM sealed_days
WHERE state <> 2;

-- name: next_organization
SELECT min(organization_no) FROM records WHERE organization_no > ?;

-- name: next_day
SELECT created_at_us / 86400000000 FROM records INDEXED BY records_by_time
WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ? ORDER BY created_at_us LIMIT 1;

-- name: is_in_archive
SELECT EXISTS (SELECT 1 FROM sealed_days WHERE organization_no = ? AND day = ?);

-- name: begin_day
INSERT INTO sealed_days (organization_no, day, state, last_seq, records)
VALUES (?, ?, 0, (SELECT coalesce(max(last_seq), 0) FROM batches WHERE no = (SELECT max(no) FROM batches)), 0);

-- name: last_seq_of_day
SELECT last_seq FROM sealed_days WHERE no = ?;

-- name: set_day_state
UPDATE sealed_days SET state = ?, records = ? WHERE no = ?;

-- name: forget_day
DELETE FROM sealed_days WHERE no = ?;

-- name: rows_to_seal
SELECT json_group_array(json_array({columns})) FROM (
    SELECT * FROM records INDEXED BY records_by_time
    WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ? AND (created_at_us, id) > (?, ?) AND seq <= ?
    ORDER BY created_at_us, id LIMIT ?
);

-- name: count_rows_to_seal
SELECT count(*) FROM records INDEXED BY records_by_time
WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ? AND seq <= ?;

-- name: rows_to_clear
SELECT json_group_array(seq) FROM (
    SELECT seq FROM records INDEXED BY records_by_time
    WHERE organization_no = ? AND created_at_us >= ? AND created_at_us < ? AND seq <= ? LIMIT ?
);

-- name: clear_tags
DELETE FROM record_tags WHERE seq IN (SELECT value FROM json_each(?));

-- name: clear_rows
DELETE FROM records WHERE seq IN (SELECT value FROM json_each(?));

-- name: add_blocks
INSERT INTO {table} ({columns}) VALUES ({places});

-- name: add_sealed_ids
INSERT INTO sealed_ids (id, day_no, created_at_us) VALUES {rows} ON CONFLICT DO NOTHING;

-- name: time_blocks_of_day
SELECT no, present, size, data FROM time_blocks WHERE day_no = ? ORDER BY first_us, no;

-- name: forget_time_blocks
DELETE FROM time_blocks WHERE no IN (SELECT no FROM time_blocks WHERE day_no = ? LIMIT ?);

-- name: forget_user_blocks
DELETE FROM user_blocks WHERE no IN (SELECT no FROM user_blocks WHERE day_no = ? LIMIT ?);

-- name: forget_sealed_ids
DELETE FROM sealed_ids WHERE id IN (SELECT id FROM sealed_ids WHERE day_no = ? LIMIT ?);

-- name: sealed_sums
(SELECT {columns} FROM json_each(?) LIMIT -1)

-- name: add_batch_of_blocks
INSERT INTO batches (no, first_seq, last_seq, written_at_us, earliest_us, hash, blocks_of)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: add_sealed_day
INSERT INTO sealed_days (organization_no, day, state, last_seq, records) VALUES (?, ?, ?, ?, ?);

-- name: is_known_day
SELECT EXISTS (SELECT 1 FROM sealed_days WHERE organization_no = ? AND day = ?)
    OR EXISTS (SELECT 1 FROM expired_days WHERE organization_no = ? AND day = ?);

-- name: count_users
SELECT count(*) FROM end_users WHERE organization_no = ? AND no IN (SELECT value FROM json_each(?));

-- name: retention_of_organizations
SELECT json_group_array(json_array(names.no, id, retention_days)) FROM organizations JOIN names ON text = id;

-- name: set_retention
UPDATE organizations SET retention_days = ? WHERE id = ?;

-- name: retention_of
SELECT retention_days FROM organizations WHERE id = ?;

-- name: sealed_days_before
SELECT json_group_array(day) FROM sealed_days WHERE organization_no = ? AND day < ? AND state = 2;

-- name: begin_forgetting
INSERT INTO sealed_days (organization_no, day, state, last_seq, records)
VALUES (?, ?, 3, (SELECT coalesce(max(last_seq), 0) FROM batches WHERE no = (SELECT max(no) FROM batches)), 0)
ON CONFLICT (organization_no, day) DO UPDATE SET state = 3, last_seq = excluded.last_seq;

-- name: day_of_organization
SELECT no, last_seq FROM sealed_days WHERE organization_no = ? AND day = ?;

-- name: note_expired
INSERT OR REPLACE INTO expired_days ({columns}) VALUES ({places});

-- name: expired_between
SELECT json_group_array(day) FROM (
    SELECT day FROM expired_days WHERE organization_no = ?1 AND day BETWEEN ?2 AND ?3
    UNION SELECT day FROM sealed_days WHERE organization_no = ?1 AND day BETWEEN ?2 AND ?3 AND state = 3
    ORDER BY day
);

-- name: first_whole_day
SELECT max(day) + 1 FROM (
    SELECT day FROM expired_days WHERE organization_no = ?1
    UNION SELECT day FROM sealed_days WHERE organization_no = ?1 AND state = 3
);

-- name: expired_requests
SELECT requests FROM expired_days WHERE organization_no = ? AND day = ?;

-- name: differing_usage_days
WITH counted (scope, scope_no, day, requests, tokens, cost_units, cost_rest) AS (
    SELECT scope, CASE scope WHEN 1 THEN organization_no WHEN 2 THEN workspace_no WHEN 3 THEN key_no ELSE user_no END,
        slot / 96, sum(iif(status_no = {rejected}, 0, requests)), sum(total_tokens),
        sum(cost_units) + sum(cost_rest) / 1000000, sum(cost_rest) % 1000000
    FROM rollups
    JOIN (SELECT value AS scope FROM json_each('[1,2,3,4]')) ON scope < 4 OR user_no > 0
    GROUP BY 1, 2, 3
), kept AS (
    SELECT scope, scope_no, day, requests, tokens, cost_units + cost_rest / 1000000, cost_rest % 1000000
    FROM usage_days
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
    UNION ALL
    SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)
);

-- name: set_usage_days
WITH used AS MATERIALIZED (
    SELECT organization_no, workspace_no, key_no, user_no, slot / 96 AS day,
        sum(iif(status_no = ?4, 0, requests)) AS requests, sum(total_tokens) AS tokens,
        sum(cost_units) AS units, sum(cost_rest) AS rest
    FROM rollups WHERE organization_no = ?1 AND slot >= ?2 AND slot < ?3
    GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO usage_days (scope, scope_no, day, requests, tokens, cost_units, cost_rest)
SELECT 1, organization_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 2, workspace_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 3, key_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 4, user_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used
WHERE user_no > 0 GROUP BY 2, 3
ON CONFLICT DO UPDATE SET
    requests = excluded.requests,
    tokens = excluded.tokens,
    cost_units = excluded.cost_units,
    cost_rest = excluded.cost_rest;

-- name: raise_usage_days_of_keys
WITH of_keys AS MATERIALIZED (
    SELECT value ->> 0 AS key_no, value ->> 1 AS workspace_no, value ->> 2 AS organization_no, (value ->> 3) / 24 AS day,
        value ->> 5 AS requests, value ->> 6 AS tokens, value ->> 7 AS units, value ->> 8 AS rest
    FROM json_each(?)
)
INSERT INTO usage_days (scope, scope_no, day, requests, tokens, cost_units, cost_rest)
SELECT 1, organization_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM of_keys GROUP BY 2, 3
UNION ALL
SELECT 2, workspace_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM of_keys GROUP BY 2, 3
UNION ALL
SELECT 3, key_no, day, requests, tokens, units, rest FROM of_keys WHERE true
ON CONFLICT DO UPDATE SET {sums};

-- name: raise_usage_days_of_users
-- Not added up before: each has few.
INSERT INTO usage_days (scope, scope_no, day, requests, tokens, cost_units, cost_rest)
SELECT 4, user_no, created_at_us / 86400000000, status_no IS NOT ?3, {used}, coalesce(cost / 1000000, 0),
    coalesce(cost % 1000000, 0)
FROM records WHERE seq BETWEEN ?1 AND ?2 AND user_no IS NOT NULL
ON CONFLICT DO UPDATE SET {sums};

-- name: add_usage_days
INSERT INTO usage_days ({columns}) VALUES {rows} ON CONFLICT DO UPDATE SET {sums};

-- name: usages_of
SELECT json_group_array(json_array(place, requests, tokens, cost_units, cost_rest)) FROM (
    SELECT asked.key AS place, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost_units) AS cost_units,
        sum(cost_rest) AS cost_rest
    FROM json_each(?) AS asked CROSS JOIN usage_days
    WHERE scope = asked.value ->> 2 AND scope_no = (SELECT no FROM names WHERE text = asked.value ->> 3)
        AND day >= asked.value ->> 0 AND day < asked.value ->> 1
    GROUP BY asked.key
);

-- name: usages_of_users
SELECT json_group_array(json_array(place, requests, tokens, cost_units, cost_rest)) FROM (
    SELECT asked.key AS place, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost_units) AS cost_units,
        sum(cost_rest) AS cost_rest
    FROM json_each(?) AS asked CROSS JOIN usage_days
    WHERE scope = 4 AND scope_no = (
        SELECT no FROM end_users
        WHERE organization_no = (SELECT no FROM names WHERE text = asked.value ->> 2) AND name = asked.value ->> 3
    ) AND day >= asked.value ->> 0 AND day < asked.value ->> 1
    GROUP BY asked.key
);

-- name: usages_of_members
SELECT json_group_array(json_array(place, requests, tokens, cost_units, cost_rest)) FROM (
    SELECT asked.key AS place, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost_units) AS cost_units,
        sum(cost_rest) AS cost_rest
    FROM json_each(?) AS asked CROSS JOIN usage_days
    WHERE scope = 3 AND scope_no IN (
        SELECT no FROM names WHERE text IN (
            SELECT hash FROM keys WHERE organization_id = asked.value ->> 2 AND creator = asked.value ->> 3
        )
    ) AND day >= asked.value ->> 0 AND day < asked.value ->> 1
    GROUP BY asked.key
);

-- name: add_guardrail
INSERT INTO guardrails ({columns}) VALUES ({places});

-- name: get_guardrail
SELECT {columns} FROM guardrails WHERE organization_id = ? AND id = ?;

-- name: list_guardrails
SELECT {columns} FROM guardrails WHERE organization_id = ? AND disabled <= ?
ORDER BY created_at_us DESC, id DESC LIMIT ? OFFSET ?;

-- name: replace_guardrail
UPDATE guardrails SET ({columns}) = ({places}) WHERE organization_id = ? AND id = ?;

-- name: delete_guardrail
DELETE FROM guardrails WHERE organization_id = ? AND id = ?;

-- name: every_guardrail
SELECT {columns} FROM guardrails WHERE disabled = 0 ORDER BY id;

-- name: guardrails_among
SELECT {columns} FROM guardrails WHERE id IN (SELECT value FROM json_each(?)) AND disabled = 0 ORDER BY id;

-- name: get_user_rules
SELECT organization_id, name, limits, blocked, reason, blocked_at_us, updated_at_us FROM user_rules
WHERE organization_id = ? AND name = ?;

-- name: list_blocked_users
SELECT organization_id, name, limits, blocked, reason, blocked_at_us, updated_at_us FROM user_rules
WHERE organization_id = ?1 AND blocked = 1 AND name >= ?2 AND (?3 IS NULL OR name < ?3)
    AND (?4 IS NULL OR name {behind} ?4)
ORDER BY name {direction} LIMIT ?5;

-- name: put_user_rules
INSERT INTO user_rules (organization_id, name, limits, blocked, reason, blocked_at_us, updated_at_us, changed)
VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(changed), 0) + 1 FROM user_rules))
ON CONFLICT DO UPDATE SET
    limits = excluded.limits, blocked = excluded.blocked, reason = excluded.reason,
    blocked_at_us = excluded.blocked_at_us, updated_at_us = excluded.updated_at_us, changed = excluded.changed;

-- name: last_change_of_user_rules
SELECT coalesce(max(changed), 0) FROM user_rules;

-- name: changed_user_rules
SELECT json_group_array(json_array(organization_id, name)) FROM (
    SELECT organization_id, name FROM user_rules WHERE changed > ? LIMIT ?
);

-- name: next_holder_of_user_rules
SELECT organization_id FROM user_rules WHERE organization_id > ? ORDER BY organization_id LIMIT 1;

-- name: uses_of_counters
SELECT json_group_array(json_array(counter, used)) FROM counter_uses
WHERE counter IN (SELECT value FROM json_each(?));

-- name: add_use
INSERT INTO counter_uses ({columns}) VALUES {rows} ON CONFLICT DO UPDATE SET used = used + excluded.used;

-- name: leases_of_counters
SELECT json_group_array(json_array(counter, owner_no, most, units, exact, recalled, renewed_at_us)) FROM leases
WHERE counter IN (SELECT value FROM json_each(?));

-- name: set_lease
INSERT INTO leases ({columns}) VALUES {rows}
ON CONFLICT DO UPDATE SET
    units = excluded.units, exact = excluded.exact, recalled = iif(excluded.exact, 0, recalled),
    renewed_at_us = excluded.renewed_at_us;

-- name: end_leases
DELETE FROM leases
WHERE (counter, most, owner_no) IN (SELECT value ->> 0, value ->> 1, ?1 FROM json_each(?2));

-- name: recall_leases
UPDATE leases SET recalled = 1 WHERE counter = ?1 AND NOT (owner_no = ?2 AND most = ?3);

-- name: recall_every_lease
UPDATE leases SET recalled = 1 WHERE recalled = 0;

-- name: recalled_leases
SELECT json_group_array(json_array(counter, most)) FROM leases WHERE owner_no = ? AND recalled = 1;

-- name: post_leases_of_owner
INSERT INTO counter_uses (counter, used, ends_at_us)
SELECT counter, sum(units), ends_at_us FROM leases WHERE owner_no = ? AND posts = 1 GROUP BY counter
ON CONFLICT DO UPDATE SET used = used + excluded.used;

-- name: end_leases_of_owner
DELETE FROM leases WHERE owner_no = ?;

-- name: forget_ended_leases
DELETE FROM leases WHERE ends_at_us <= ?;

-- name: forget_ended_uses
DELETE FROM counter_uses WHERE ends_at_us <= ?;

-- name: batches_to_copy
SELECT json_group_array(json_array(no, first_seq, last_seq, written_at_us, adjustments, hash)) FROM (
    SELECT no, first_seq, last_seq, written_at_us, hex(hash) AS hash,
        (SELECT count(*) FROM adjustments WHERE batch_no = batches.no) AS adjustments
    FROM batches WHERE no > ? ORDER BY no LIMIT 1000
);

-- name: batch_to_copy_from
SELECT hex(hash), written_at_us FROM batches WHERE no = ?;

-- name: size_to_copy
SELECT coalesce((SELECT max(last_seq) FROM batches), 0) - ? + (SELECT count(*) FROM adjustments WHERE batch_no > ?);

-- name: records_of_seqs
SELECT json_group_array(json_array({columns})) FROM records WHERE seq IN (SELECT value FROM json_each(?));

-- name: time_blocks_between
SELECT present, size, data FROM time_blocks
WHERE last_seq >= ? AND first_seq <= ? AND day_no NOT IN ({unseen}) ORDER BY no;

-- name: time_blocks_of_seqs
SELECT present, size, data FROM time_blocks
WHERE day_no NOT IN ({unseen})
    AND EXISTS (SELECT 1 FROM json_each(?) WHERE value BETWEEN first_seq AND last_seq)
ORDER BY no;

-- name: days_that_expired
SELECT json_group_array(json_array(names.text, day)) FROM (
    SELECT organization_no, day FROM expired_days
    UNION SELECT organization_no, day FROM sealed_days WHERE state = 3
) JOIN names ON names.no = organization_no;
