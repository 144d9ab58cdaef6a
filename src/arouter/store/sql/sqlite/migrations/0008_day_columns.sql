-- Columns of closed days, derived from the roll-ups.

-- Days of UTC whose roll-ups are also there as columns, in day_blocks: those of the first so many quarters of the day,
-- all 96 once it is closed. With ready = 0 somebody is making them. Whatever changes these sums deletes the row in the
-- same transaction, and with it the claim, a number that was drawn for it.
CREATE TABLE folded_days (
    claim INTEGER PRIMARY KEY,
    organization_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    quarters INTEGER NOT NULL,
    claimed_at_us INTEGER NOT NULL,
    ready INTEGER NOT NULL
) STRICT;

CREATE INDEX folded_days_by_day ON folded_days (organization_no, day);

-- Derived, and worth nothing without a row in folded_days that is ready.
CREATE TABLE day_blocks (
    claim INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    first_user_no INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (claim, kind, first_user_no)
) STRICT;
