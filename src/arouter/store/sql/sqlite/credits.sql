-- Organizations' credits. Words in braces are lists of columns and places.

-- name: add_credit
INSERT INTO credits ({columns}) VALUES ({places});

-- name: get_credit
SELECT {columns} FROM credits WHERE organization_id = ? AND id = ?;

-- name: credit_by_idempotency_key
SELECT {columns} FROM credits WHERE organization_id = ? AND idempotency_key = ?;

-- name: credit_by_reference
SELECT {columns} FROM credits WHERE organization_id = ? AND reference = ?;

-- name: list_credits
SELECT {columns} FROM credits
WHERE organization_id = ?1 AND (?2 IS NULL OR (created_at_us, id) < (?2, ?3))
ORDER BY created_at_us DESC, id DESC LIMIT ?4;

-- name: get_pool
SELECT {columns} FROM credit_pools WHERE organization_id = ?;

-- name: set_pool
INSERT INTO credit_pools ({columns}) VALUES ({places})
ON CONFLICT (organization_id) DO UPDATE SET enabled = excluded.enabled, total = excluded.total,
    cost_at_end = excluded.cost_at_end;

-- name: every_total
SELECT organization_id, total FROM credit_pools WHERE enabled ORDER BY organization_id;

-- name: totals_among
SELECT organization_id, total FROM credit_pools
WHERE organization_id IN (SELECT value FROM json_each(?)) AND enabled ORDER BY organization_id;

-- name: every_pool
SELECT organization_id, total FROM credit_pools ORDER BY organization_id;

-- name: credits_of_organizations
SELECT {columns} FROM credits ORDER BY organization_id, created_at_us, id;

-- name: noted_credits
SELECT organization_id, target_id, after FROM audit WHERE action = 'credit.create';
