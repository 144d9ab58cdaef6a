-- The audit log, and the numbers by which processes see that something changed. Words in braces are lists of columns and
-- places.

-- name: lock_end
SELECT no, at_us, hash FROM audit_ends WHERE organization_id = $1 FOR UPDATE;

-- name: begin_chain
INSERT INTO audit_ends (organization_id, no, at_us, hash) VALUES ($1, $2, $3, $4)
ON CONFLICT (organization_id) DO UPDATE SET no = audit_ends.no
RETURNING no, at_us, hash;

-- name: add_entry
INSERT INTO audit ({columns}) VALUES ({places});

-- name: set_end
UPDATE audit_ends SET no = $2, at_us = $3, hash = $4 WHERE organization_id = $1;

-- name: ends
SELECT organization_id, no, at_us, hash FROM audit_ends ORDER BY organization_id;

-- name: chains_without_end
SELECT DISTINCT organization_id FROM audit
WHERE NOT EXISTS (SELECT 1 FROM audit_ends WHERE audit_ends.organization_id = audit.organization_id)
ORDER BY organization_id;

-- name: entries_after
SELECT {columns} FROM audit WHERE organization_id = $1 AND no > $2 ORDER BY no LIMIT $3;

-- name: entries_descending
SELECT {columns} FROM audit
WHERE organization_id = $1
    AND ($2::bigint IS NULL OR no < $2)
    AND ($3::bigint IS NULL OR at_us >= $3)
    AND ($4::bigint IS NULL OR at_us < $4)
    AND ($5::text[] IS NULL OR coalesce(actor_id, actor_kind) = ANY($5))
    AND ($6::text[] IS NULL OR action = ANY($6))
    AND ($7::text[] IS NULL OR target_id = ANY($7))
ORDER BY no DESC LIMIT $8;

-- name: entries_ascending
SELECT {columns} FROM audit
WHERE organization_id = $1
    AND ($2::bigint IS NULL OR no > $2)
    AND ($3::bigint IS NULL OR at_us >= $3)
    AND ($4::bigint IS NULL OR at_us < $4)
    AND ($5::text[] IS NULL OR coalesce(actor_id, actor_kind) = ANY($5))
    AND ($6::text[] IS NULL OR action = ANY($6))
    AND ($7::text[] IS NULL OR target_id = ANY($7))
ORDER BY no LIMIT $8;

-- name: last_changes
SELECT revision, user_rules FROM directory_revision WHERE one = 1;

-- What changed is noted, unless that is not told, and what was noted long ago is forgotten.
-- name: raise_revision
WITH raised AS (
    INSERT INTO directory_revision (one, revision, user_rules) VALUES (1, 1, 0)
    ON CONFLICT (one) DO UPDATE SET revision = directory_revision.revision + 1
    RETURNING revision
), forgotten AS (
    DELETE FROM directory_changes USING raised WHERE directory_changes.revision <= raised.revision - $2::bigint
)
INSERT INTO directory_changes (revision, things) SELECT revision, $1 FROM raised WHERE $1::text IS NOT NULL;

-- name: changes_after
SELECT last.revision, things
FROM directory_revision AS last LEFT JOIN directory_changes AS change ON change.revision > $1::bigint
WHERE one = 1;

-- name: tell
SELECT pg_notify('arouter_directory', '');
