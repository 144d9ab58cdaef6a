-- Records that are on disk and wait to be booked, a group in each row: packed with the names of their columns, so that
-- another version can read them. writer tells the rows of one connection from those of others. A program that does not
-- know this table would not see what waits here, so it must not work on the database.
CREATE TABLE arrivals (
    no INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL,
    arrived_at_us INTEGER NOT NULL,
    records BLOB NOT NULL
) STRICT;

-- What arrived and could not be booked, and why: it was acknowledged, so it is kept. The check tells of it.
CREATE TABLE arrivals_set_aside (
    no INTEGER PRIMARY KEY,
    records BLOB NOT NULL,
    reason TEXT NOT NULL
) STRICT;
