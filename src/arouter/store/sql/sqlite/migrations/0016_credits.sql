-- What was paid into organizations' pools of credits, in picodollars. Rows are added, and never changed or deleted.
CREATE TABLE credits (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    description TEXT NOT NULL,
    reference TEXT,
    idempotency_key TEXT,
    UNIQUE (organization_id, reference),
    UNIQUE (organization_id, idempotency_key)
) STRICT;

CREATE INDEX credits_by_age ON credits (organization_id, created_at_us, id);

-- total is the sum of an organization's credits. cost_at_end is decimal: what its records had cost, in picodollars, when
-- the pool was switched off; it may be more than a number of the database can be.
CREATE TABLE credit_pools (
    organization_id TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL,
    total INTEGER NOT NULL,
    cost_at_end TEXT
) STRICT;
