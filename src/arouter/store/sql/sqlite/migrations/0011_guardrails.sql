-- Guardrails, what is said of single users, and the counters of budgets and rates.

ALTER TABLE keys ADD COLUMN rate_limit TEXT;
ALTER TABLE keys ADD COLUMN default_user_limits TEXT;

-- Guardrails: limits and lists are JSON, because they are only ever read whole.
CREATE TABLE guardrails (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    target_id TEXT,
    limits TEXT NOT NULL,
    lists TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    creator TEXT,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER
) STRICT;

CREATE INDEX guardrails_by_age ON guardrails (organization_id, created_at_us, id);

-- What is said of single end users. changed grows with every change.
CREATE TABLE user_rules (
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    limits TEXT NOT NULL,
    blocked INTEGER NOT NULL,
    reason TEXT,
    blocked_at_us INTEGER,
    updated_at_us INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (organization_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_rules_by_change ON user_rules (changed);

-- What budgets and daily limits go by: sums by UTC day of an organization (scope 1), a workspace (2), a key (3), an end
-- user (4). Raised in the transaction of the records. Requests that were rejected are not counted.
CREATE TABLE usage_days (
    scope INTEGER NOT NULL,
    scope_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    PRIMARY KEY (scope, scope_no, day)
) STRICT, WITHOUT ROWID;

-- What was used of windows too short to be summed up in usage_days.
CREATE TABLE counter_uses (
    counter TEXT PRIMARY KEY,
    used INTEGER NOT NULL,
    ends_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX counter_uses_by_end ON counter_uses (ends_at_us);

-- Units of a counter that one process may use without asking. most is the limit that the lease was given under; exact:
-- all of it is held by running requests; recalled: others have asked for it; posts: counts as used if its process dies.
CREATE TABLE leases (
    counter TEXT NOT NULL,
    most INTEGER NOT NULL,
    owner_no INTEGER NOT NULL REFERENCES owners (no),
    units INTEGER NOT NULL,
    exact INTEGER NOT NULL,
    recalled INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    renewed_at_us INTEGER NOT NULL,
    ends_at_us INTEGER NOT NULL,
    PRIMARY KEY (counter, most, owner_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_by_owner ON leases (owner_no, recalled);
CREATE INDEX leases_by_end ON leases (ends_at_us);

-- From the roll-ups, which outlive the records.
WITH used AS MATERIALIZED (
    SELECT organization_no, workspace_no, key_no, user_no, slot / 96 AS day,
        sum(iif(status_no = (SELECT no FROM names WHERE text = 'rejected'), 0, requests)) AS requests,
        sum(total_tokens) AS tokens, sum(cost_units) AS units, sum(cost_rest) AS rest
    FROM rollups
    GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO usage_days (scope, scope_no, day, requests, tokens, cost_units, cost_rest)
SELECT 1, organization_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 2, workspace_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 3, key_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used GROUP BY 2, 3
UNION ALL
SELECT 4, user_no, day, sum(requests), sum(tokens), sum(units), sum(rest) FROM used WHERE user_no > 0 GROUP BY 2, 3;
