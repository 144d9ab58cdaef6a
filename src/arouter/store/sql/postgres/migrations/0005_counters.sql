-- What was used of windows too short to be summed up in usage_days.
CREATE TABLE counter_uses (
    counter TEXT COLLATE "C" PRIMARY KEY,
    used BIGINT NOT NULL,
    ends_at_us BIGINT NOT NULL
);

CREATE INDEX counter_uses_by_end ON counter_uses (ends_at_us);

-- Units of a counter that one process may use without asking. most is the limit that the lease was given under; exact:
-- all of it is held by running requests; recalled: others have asked for it; posts: counts as used if its process dies.
CREATE TABLE leases (
    counter TEXT COLLATE "C" NOT NULL,
    most BIGINT NOT NULL,
    owner_no INTEGER NOT NULL REFERENCES owners (no),
    units BIGINT NOT NULL,
    exact BOOLEAN NOT NULL,
    recalled BOOLEAN NOT NULL,
    posts BOOLEAN NOT NULL,
    renewed_at_us BIGINT NOT NULL,
    ends_at_us BIGINT NOT NULL,
    PRIMARY KEY (counter, most, owner_no)
);

CREATE INDEX leases_by_owner ON leases (owner_no, recalled);
CREATE INDEX leases_by_end ON leases (ends_at_us);
