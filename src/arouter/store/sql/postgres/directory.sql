-- The home and keys: what is given out and what organizations bring. Words in braces are lists of columns and places.

-- name: home
SELECT organization_id, workspace_id, secret FROM home WHERE one = 1;

-- name: lock_home
LOCK TABLE home IN EXCLUSIVE MODE;

-- name: set_home
INSERT INTO home (one, organization_id, workspace_id, secret) VALUES (1, $1, $2, $3);

-- name: find_key
SELECT {columns} FROM keys WHERE secret = $1;

-- name: get_key
SELECT {columns} FROM keys WHERE organization_id = $1 AND hash = $2 AND secret IS NOT NULL;

-- name: find_key_by_previous
SELECT {columns} FROM keys WHERE previous_secret = $1;

-- name: secrets_of
SELECT secret, previous_secret, previous_expires_at_us FROM keys
WHERE organization_id = $1 AND hash = $2 AND secret IS NOT NULL;

-- name: is_secret_taken
SELECT EXISTS (SELECT 1 FROM keys WHERE previous_secret = $1 AND hash <> $2);

-- name: has_keys
SELECT EXISTS (SELECT 1 FROM keys WHERE organization_id = $1 AND secret IS NOT NULL);

-- name: list_keys
SELECT {columns} FROM keys
WHERE organization_id = $1 AND secret IS NOT NULL AND disabled <= $2 AND ($3::text IS NULL OR creator = $3)
ORDER BY created_at_us DESC, hash DESC LIMIT $4 OFFSET $5;

-- name: label_keys
SELECT hash, name, creator FROM keys WHERE organization_id = $1 AND hash = ANY($2::text[]);

-- name: add_key
INSERT INTO keys (secret, {columns}) VALUES ($1, {places});

-- name: replace_key
UPDATE keys SET ({columns}) = ({places}) WHERE organization_id = $1 AND hash = $2 AND secret IS NOT NULL;

-- name: rotate_key
UPDATE keys SET secret = $3, label = $4, updated_at_us = $5, previous_expires_at_us = $6::bigint,
    previous_secret = CASE WHEN $6::bigint IS NULL THEN NULL ELSE secret END
WHERE organization_id = $1 AND hash = $2 AND secret IS NOT NULL;

-- name: delete_key
UPDATE keys SET secret = NULL, previous_secret = NULL, previous_expires_at_us = NULL, deleted_at_us = $3
WHERE organization_id = $1 AND hash = $2 AND secret IS NOT NULL;

-- name: add_provider_key
INSERT INTO provider_keys ({columns}) VALUES ({places});

-- name: get_provider_key
SELECT {columns} FROM provider_keys WHERE organization_id = $1 AND id = $2;

-- name: list_provider_keys
SELECT {columns} FROM provider_keys WHERE organization_id = $1 AND disabled <= $2
ORDER BY created_at_us DESC, id DESC LIMIT $3 OFFSET $4;

-- name: replace_provider_key
UPDATE provider_keys SET name = $3, updated_at_us = $4, disabled = $5, byok_fallback = $6
WHERE organization_id = $1 AND id = $2;

-- name: replace_provider_key_and_secret
UPDATE provider_keys
SET name = $3, updated_at_us = $4, disabled = $5, byok_fallback = $6, label = $7,
    sealed_with = $8, nonce = $9, ciphertext = $10
WHERE organization_id = $1 AND id = $2;

-- name: reseal_provider_key
UPDATE provider_keys SET sealed_with = $6, nonce = $7, ciphertext = $8
WHERE organization_id = $1 AND id = $2 AND sealed_with = $3 AND nonce = $4 AND ciphertext = $5;

-- name: delete_provider_key
DELETE FROM provider_keys WHERE organization_id = $1 AND id = $2;

-- name: sealed_provider_keys
SELECT {columns} FROM provider_keys WHERE organization_id = $1 AND NOT disabled ORDER BY id;

-- name: every_provider_key
SELECT {columns} FROM provider_keys WHERE id > $1 ORDER BY id LIMIT $2;

-- name: provider_key_holders
SELECT DISTINCT organization_id, sealed_with FROM provider_keys WHERE NOT disabled;
