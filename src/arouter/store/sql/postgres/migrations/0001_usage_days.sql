-- Texts are sorted and compared by code point, whatever the database's own order is.
-- Times are microseconds since the epoch, money is picodollars. NULL is unknown, which is not zero.

-- What budgets and daily limits go by: sums by UTC day of an organization, a workspace, a key, an end user. Raised in
-- the transaction of the records. Requests that were rejected are not counted.
CREATE TABLE usage_days (
    scope TEXT COLLATE "C" NOT NULL,
    organization_id TEXT COLLATE "C" NOT NULL,
    scope_id TEXT COLLATE "C" NOT NULL,
    day INTEGER NOT NULL,
    requests BIGINT NOT NULL,
    tokens NUMERIC(30) NOT NULL,
    cost NUMERIC(40) NOT NULL,
    PRIMARY KEY (scope, organization_id, scope_id, day)
);
