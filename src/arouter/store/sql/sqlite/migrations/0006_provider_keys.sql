-- The keys for providers that organizations bring. A secret is kept sealed: sealed_with names what it can be read with.

CREATE TABLE provider_keys (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    api_key_hash TEXT,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    creator TEXT,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    disabled INTEGER NOT NULL,
    byok_fallback INTEGER NOT NULL,
    sealed_with TEXT NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

CREATE INDEX provider_keys_by_age ON provider_keys (organization_id, created_at_us, id);

-- The records of requests that ran on such a key, which have sums of their own.
CREATE INDEX records_on_own_keys ON records (key_no, created_at_us) WHERE is_byok = 1;
