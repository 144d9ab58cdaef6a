-- What is read and written to move a whole database. Words in braces are filled in.

-- name: copy_state
SELECT source, position, complete FROM copies WHERE one = 1;

-- name: begin_copy
INSERT INTO copies (one, source, position, complete) VALUES (1, ?, '', 0);

-- name: set_position
UPDATE copies SET position = ? WHERE one = 1;

-- name: end_copy
UPDATE copies SET complete = 1 WHERE one = 1;

-- name: columns_of
SELECT name FROM pragma_table_info(?);

-- name: count
SELECT count(*) FROM {table};

-- name: rows
SELECT {columns} FROM {table};

-- name: empty
DELETE FROM {table};

-- name: add_row
INSERT INTO {table} ({columns}) VALUES ({places});

-- name: secret_of_home
SELECT secret FROM home;

-- name: days_in_deletion
SELECT count(*) FROM sealed_days WHERE state = 3;

-- name: state_of_days
SELECT count(*), coalesce(max(no), 0), coalesce(sum(state), 0) FROM sealed_days;

-- name: blocks
SELECT no, first_seq, last_seq FROM time_blocks
WHERE day_no IN (SELECT no FROM sealed_days WHERE state IN (1, 2)) ORDER BY first_seq;

-- Batches behind a place: those that follow a batch, and what is left of that one behind a record.
-- name: batches_behind
SELECT no, first_seq, last_seq, written_at_us FROM batches
WHERE no >= ?1 AND (no > ?1 OR last_seq > ?2) ORDER BY no LIMIT ?3;

-- name: ids_of_rows
SELECT json_group_array(json_array(seq, id)) FROM records WHERE seq IN (SELECT value FROM json_each(?));

-- name: user_spans
SELECT o.text, u.name, k.text, w.text, first_seen_us, last_seen_us
FROM user_spans AS s JOIN names AS o ON o.no = s.organization_no JOIN end_users AS u ON u.no = s.user_no
JOIN names AS k ON k.no = s.key_no JOIN names AS w ON w.no = s.workspace_no;

-- name: expired_days
SELECT o.text, day, requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, total_tokens,
    cost_units, cost_rest, requests_without_usage, requests_without_price, latency_us, requests_with_latency
FROM expired_days AS d JOIN names AS o ON o.no = d.organization_no;

-- name: rollups
SELECT o.text, slot, w.text, k.text, (SELECT name FROM end_users WHERE no = user_no),
    (SELECT text FROM names WHERE no = model_no), (SELECT text FROM names WHERE no = requested_model_no),
    (SELECT text FROM names WHERE no = provider_no), (SELECT text FROM names WHERE no = endpoint_no),
    (SELECT text FROM names WHERE no = status_no),
    requests, errors, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, total_tokens,
    cost_units, cost_rest, requests_without_usage, requests_without_price, latency_us, requests_with_latency
FROM rollups AS r JOIN names AS o ON o.no = r.organization_no JOIN names AS w ON w.no = r.workspace_no
JOIN names AS k ON k.no = r.key_no
WHERE {where};

-- name: of_expired_days
(r.organization_no, slot / 96) IN (SELECT organization_no, day FROM expired_days)

-- name: key_hours
SELECT k.text, h.hour, h.cost_units, h.cost_rest, coalesce(own.cost_units, 0), coalesce(own.cost_rest, 0)
FROM key_hours AS h JOIN names AS k ON k.no = h.key_no
LEFT JOIN own_key_hours AS own ON own.key_no = h.key_no AND own.hour = h.hour
WHERE {where};

-- name: expired_key_hours
SELECT k.text, h.hour, h.cost_units, h.cost_rest, coalesce(own.cost_units, 0), coalesce(own.cost_rest, 0), h.last_used_us
FROM key_hours AS h JOIN names AS k ON k.no = h.key_no
LEFT JOIN own_key_hours AS own ON own.key_no = h.key_no AND own.hour = h.hour
WHERE h.hour / 24 IN (SELECT day FROM expired_days);

-- name: use_key
UPDATE key_hours SET last_used_us = max(coalesce(last_used_us, ?1), ?1) WHERE key_no = ?2 AND hour = ?3;

-- name: usage_days
SELECT scope, CASE scope WHEN 4 THEN (SELECT o.text FROM end_users AS u JOIN names AS o ON o.no = u.organization_no
        WHERE u.no = scope_no) END,
    CASE scope WHEN 4 THEN (SELECT name FROM end_users WHERE no = scope_no)
        ELSE (SELECT text FROM names WHERE no = scope_no) END,
    day, requests, tokens, cost_units, cost_rest
FROM usage_days;

-- name: sums_of_rollup
SELECT {sums} FROM rollups WHERE {where};

-- name: own_key_hour
SELECT cost_units, cost_rest FROM own_key_hours WHERE key_no = ? AND hour = ?;
