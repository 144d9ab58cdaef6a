-- The audit log. Words in braces are lists of columns and places.

-- name: add_entry
INSERT INTO audit ({columns}) VALUES ({places});

-- name: last_entry
SELECT {columns} FROM audit WHERE organization_id = ? ORDER BY no DESC LIMIT 1;

-- name: organizations
SELECT DISTINCT organization_id FROM audit ORDER BY organization_id;

-- name: entries_after
SELECT {columns} FROM audit WHERE organization_id = ? AND no > ? ORDER BY no LIMIT ?;

-- name: entries_descending
SELECT {columns} FROM audit
WHERE organization_id = ?1 AND (?2 IS NULL OR no < ?2) AND (?3 IS NULL OR at_us >= ?3) AND (?4 IS NULL OR at_us < ?4)
    AND (?5 IS NULL OR coalesce(actor_id, actor_kind) IN (SELECT value FROM json_each(?5)))
    AND (?6 IS NULL OR action IN (SELECT value FROM json_each(?6)))
    AND (?7 IS NULL OR target_id IN (SELECT value FROM json_each(?7)))
ORDER BY no DESC LIMIT ?8;

-- name: entries_ascending
SELECT {columns} FROM audit
WHERE organization_id = ?1 AND (?2 IS NULL OR no > ?2) AND (?3 IS NULL OR at_us >= ?3) AND (?4 IS NULL OR at_us < ?4)
    AND (?5 IS NULL OR coalesce(actor_id, actor_kind) IN (SELECT value FROM json_each(?5)))
    AND (?6 IS NULL OR action IN (SELECT value FROM json_each(?6)))
    AND (?7 IS NULL OR target_id IN (SELECT value FROM json_each(?7)))
ORDER BY no LIMIT ?8;
