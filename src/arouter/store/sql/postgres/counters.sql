-- The keys come sorted: whoever wants some of the same waits instead of both waiting for each other.
-- name: lock_counters
SELECT count(pg_advisory_xact_lock(key)) FROM unnest($1::bigint[]) AS key;

-- name: add_uses
INSERT INTO counter_uses (counter, used, ends_at_us)
SELECT counter, sum(used), max(ends_at_us) FROM unnest($1::text[], $2::bigint[], $3::bigint[])
    AS added (counter, used, ends_at_us)
GROUP BY counter ORDER BY counter
ON CONFLICT (counter) DO UPDATE SET used = counter_uses.used + excluded.used;

-- name: uses_of_counters
SELECT counter, used FROM counter_uses WHERE counter = ANY ($1::text[]);

-- name: usages_of
SELECT place, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost
FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[])
    AS asked (place, scope, organization_id, scope_id, first_day, end_day)
JOIN usage_days USING (scope, organization_id, scope_id)
WHERE day >= first_day AND day < end_day
GROUP BY place;

-- A member's are those of the keys that it made.
-- name: usages_of_members
SELECT place, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost
FROM unnest($1::integer[], $2::text[], $3::text[], $4::integer[], $5::integer[])
    AS asked (place, organization_id, member_id, first_day, end_day)
JOIN keys ON keys.organization_id = asked.organization_id AND keys.creator = asked.member_id
JOIN usage_days ON scope = 'key' AND usage_days.organization_id = asked.organization_id AND scope_id = keys.hash
WHERE day >= first_day AND day < end_day
GROUP BY place;

-- name: leases_of_counters
SELECT counter, owner_no, most, units, exact, recalled, renewed_at_us FROM leases WHERE counter = ANY ($1::text[]);

-- name: recall_leases
UPDATE leases SET recalled = TRUE
FROM unnest($1::text[], $2::bigint[]) AS wanted (counter, most)
WHERE leases.counter = wanted.counter AND NOT (leases.owner_no = $3 AND leases.most = wanted.most);

-- name: set_leases
INSERT INTO leases (counter, most, owner_no, units, exact, recalled, posts, ends_at_us, renewed_at_us)
SELECT counter, most, $8, units, exact, FALSE, posts, ends_at_us, $7
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::boolean[], $6::bigint[])
    AS renewed (counter, most, units, exact, posts, ends_at_us)
ON CONFLICT (counter, most, owner_no) DO UPDATE SET
    units = excluded.units, exact = excluded.exact, recalled = leases.recalled AND NOT excluded.exact,
    renewed_at_us = excluded.renewed_at_us;

-- name: end_leases
DELETE FROM leases USING unnest($1::text[], $2::bigint[]) AS ended (counter, most)
WHERE leases.counter = ended.counter AND leases.most = ended.most AND owner_no = $3;

-- name: recalled_leases
SELECT counter, most FROM leases WHERE owner_no = $1 AND recalled;

-- name: recall_every_lease
UPDATE leases SET recalled = TRUE
WHERE (counter, most, owner_no) IN (
    SELECT counter, most, owner_no FROM leases WHERE NOT recalled ORDER BY counter, most, owner_no FOR NO KEY UPDATE
);

-- Ended and posted by one statement: nobody sees them as neither, or as both.
-- name: end_leases_of_owner
WITH ended AS (
    DELETE FROM leases WHERE owner_no = $1 RETURNING counter, units, posts, ends_at_us
)
INSERT INTO counter_uses (counter, used, ends_at_us)
SELECT counter, sum(units), max(ends_at_us) FROM ended WHERE posts GROUP BY counter ORDER BY counter
ON CONFLICT (counter) DO UPDATE SET used = counter_uses.used + excluded.used;

-- name: forget_ended_leases
DELETE FROM leases WHERE (counter, most, owner_no) IN (
    SELECT counter, most, owner_no FROM leases WHERE ends_at_us <= $1 FOR UPDATE SKIP LOCKED
);

-- name: forget_ended_uses
DELETE FROM counter_uses WHERE counter IN (
    SELECT counter FROM counter_uses WHERE ends_at_us <= $1 FOR UPDATE SKIP LOCKED
);
