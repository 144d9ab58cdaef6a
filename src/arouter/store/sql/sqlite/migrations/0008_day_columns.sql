-- Columns of closed days, derived from the roll-ups.

-- Days of UTC whose roll-ups are also there as columns, in day_blocks; a row with ready = 0 says that somebody makes
-- them, who drew the number in claim. Whatever changes the sums of the day deletes the row in the same transaction.
CREATE TABLE folded_days (
    organization_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    claim INTEGER NOT NULL,
    claimed_at_us INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    PRIMARY KEY (organization_no, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX folded_days_by_day ON folded_days (day);

-- Derived, and worth nothing without a row in folded_days that is ready.
CREATE TABLE day_blocks (
    organization_no INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    first_user_no INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (organization_no, kind, day, first_user_no)
) STRICT;
