-- name: take_turn
SELECT pg_try_advisory_lock(1095912017);

-- name: end_turn
SELECT pg_advisory_unlock(1095912017);

-- The days with records that ended long enough ago: $1 is now in microseconds, $2 the number of days for organizations
-- that have none of their own.
-- name: days_to_expire
SELECT DISTINCT records.organization_id, (records.created_at_us / 86400000000)::integer AS day
FROM organizations JOIN records ON records.organization_id = organizations.id
WHERE records.created_at_us < ($1::bigint / 86400000000 - coalesce(retention_days, $2::integer)) * 86400000000
ORDER BY 1, 2;

-- Some records of a day are deleted, and what they add up to is noted, in one transaction: together with those that are
-- left that is what the sums say, at any time.
-- name: expire_some
WITH chosen AS MATERIALIZED (
    SELECT id, created_at_us FROM records
    WHERE organization_id = $1 AND created_at_us >= $2 AND created_at_us < $3 ORDER BY id LIMIT $4 FOR UPDATE
), gone AS (
    DELETE FROM records USING chosen
    WHERE records.organization_id = $1 AND records.created_at_us = chosen.created_at_us AND records.id = chosen.id
    RETURNING records.*
), ids AS (
    DELETE FROM record_ids USING chosen WHERE record_ids.id = chosen.id
), records AS (
    SELECT * FROM gone
)
INSERT INTO expired_days AS kept (organization_id, day, {columns})
SELECT $1, $2 / 86400000000, {sums} FROM ({piece}) AS expired HAVING count(*) > 0
ON CONFLICT (organization_id, day) DO UPDATE SET {added}
RETURNING (SELECT count(*) FROM gone);

-- name: expired_between
SELECT EXISTS (SELECT 1 FROM expired_days WHERE organization_id = $1 AND day BETWEEN $2 AND $3);

-- name: first_whole_day
SELECT max(day) + 1 FROM expired_days WHERE organization_id = $1;

-- name: retention_of
SELECT retention_days FROM organizations WHERE id = $1;

-- name: set_retention
UPDATE organizations SET retention_days = $2 WHERE id = $1 RETURNING id;
