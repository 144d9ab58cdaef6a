-- What was paid into organizations' pools of credits, in picodollars. Rows are added, and never changed or deleted.
CREATE TABLE credits (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    reference TEXT COLLATE "C",
    idempotency_key TEXT COLLATE "C",
    UNIQUE (organization_id, reference),
    UNIQUE (organization_id, idempotency_key)
);

CREATE INDEX credits_by_age ON credits (organization_id, created_at_us, id);

-- total is the sum of an organization's credits. cost_at_end is what its records had cost, in picodollars, when the pool
-- was switched off; it may be more than a BIGINT can be.
CREATE TABLE credit_pools (
    organization_id TEXT COLLATE "C" PRIMARY KEY,
    enabled BOOLEAN NOT NULL,
    total BIGINT NOT NULL,
    cost_at_end NUMERIC(40)
);
