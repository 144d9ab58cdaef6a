-- Guardrails, and the rules of single users. Words in braces are lists of columns and places.

-- name: add_guardrail
INSERT INTO guardrails ({columns}) VALUES ({places});

-- name: get_guardrail
SELECT {columns} FROM guardrails WHERE organization_id = $1 AND id = $2;

-- name: list_guardrails
SELECT {columns} FROM guardrails WHERE organization_id = $1 AND disabled <= $2
ORDER BY created_at_us DESC, id DESC LIMIT $3 OFFSET $4;

-- name: replace_guardrail
UPDATE guardrails SET ({columns}) = ({places}) WHERE organization_id = $1 AND id = $2;

-- name: delete_guardrail
DELETE FROM guardrails WHERE organization_id = $1 AND id = $2;

-- name: every_guardrail
SELECT {columns} FROM guardrails WHERE NOT disabled ORDER BY id;

-- name: guardrails_among
SELECT {columns} FROM guardrails WHERE id = ANY ($1::text[]) AND NOT disabled ORDER BY id;

-- name: get_user_rules
SELECT {columns} FROM user_rules WHERE organization_id = $1 AND name = $2;

-- name: user_rules_of
SELECT {columns} FROM user_rules WHERE organization_id = $1 AND name = ANY($2::text[]);

-- name: blocked_users_ascending
SELECT {columns} FROM user_rules
WHERE organization_id = $1 AND blocked AND name >= $2 AND ($3::text IS NULL OR name < $3)
    AND ($4::text IS NULL OR name > $4)
ORDER BY name LIMIT $5;

-- name: blocked_users_descending
SELECT {columns} FROM user_rules
WHERE organization_id = $1 AND blocked AND name >= $2 AND ($3::text IS NULL OR name < $3)
    AND ($4::text IS NULL OR name < $4)
ORDER BY name DESC LIMIT $5;

-- name: put_user_rules
INSERT INTO user_rules ({columns}, changed) VALUES ({places}, 0)
ON CONFLICT (organization_id, name) DO UPDATE SET
    limits = excluded.limits, blocked = excluded.blocked, reason = excluded.reason,
    blocked_at_us = excluded.blocked_at_us, updated_at_us = excluded.updated_at_us;

-- name: number_change_of_user_rules
WITH raised AS (
    INSERT INTO directory_revision (one, revision, user_rules) VALUES (1, 0, 1)
    ON CONFLICT (one) DO UPDATE SET user_rules = directory_revision.user_rules + 1
    RETURNING user_rules
)
UPDATE user_rules SET changed = raised.user_rules FROM raised WHERE organization_id = $1 AND name = $2;

-- name: last_change_of_user_rules
SELECT coalesce((SELECT user_rules FROM directory_revision WHERE one = 1), 0);

-- name: changed_user_rules
SELECT organization_id, name FROM user_rules WHERE changed > $1 ORDER BY changed LIMIT $2;

-- name: holders_of_user_rules
-- One look-up for each, however many users they have.
WITH RECURSIVE holders AS (
    (SELECT organization_id FROM user_rules ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT user_rules.organization_id FROM user_rules
        WHERE user_rules.organization_id > holders.organization_id
        ORDER BY user_rules.organization_id LIMIT 1
    )
    FROM holders WHERE holders.organization_id IS NOT NULL
)
SELECT organization_id FROM holders WHERE organization_id IS NOT NULL;
