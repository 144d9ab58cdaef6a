-- name: add_owner
INSERT INTO owners (host, process_id, name) VALUES ($1, $2, $3) RETURNING no;

-- name: lock_owner
SELECT pg_try_advisory_lock($1, $2);

-- name: see_owner
UPDATE owners SET seen_at = clock_timestamp() WHERE no = $1 AND seen_at IS NOT NULL RETURNING no;

-- Whoever wants to take the owner for dead waits, or leaves it alone, until the transaction has ended.
-- name: hold_owner
SELECT no FROM owners WHERE no = $1 AND seen_at IS NOT NULL FOR KEY SHARE;

-- name: leave_owner
UPDATE owners SET seen_at = NULL WHERE no = $1;

-- name: forget_owner
DELETE FROM owners WHERE no = $1;

-- name: owner_names
SELECT name FROM owners WHERE name <> '';

-- $1 is the grace in seconds, $2 the class of the locks, $3 names of processes that are known to be dead. An owner whose row somebody holds, itself or who buries it, is
-- not dead.
-- name: owners
WITH dead AS MATERIALIZED (
    SELECT no FROM owners
    WHERE seen_at IS NULL OR (name <> '' AND name = ANY($3::text[])) OR (
        greatest(seen_at, pg_postmaster_start_time()) < clock_timestamp() - make_interval(secs => $1)
        AND no NOT IN (
            SELECT objid::bigint FROM pg_locks
            WHERE locktype = 'advisory' AND classid::bigint = $2 AND objsubid = 2 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
    )
    FOR UPDATE SKIP LOCKED
)
SELECT no, EXISTS (SELECT 1 FROM dead WHERE dead.no = owners.no) AS is_dead FROM owners ORDER BY no;
