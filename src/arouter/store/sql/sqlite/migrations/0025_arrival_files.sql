-- Pairs of files beside the database in which records are on disk and wait to be booked, and up to which of their groups
-- each pair is booked: see store/sqlite/arrival_files.py. Nothing is added to the table arrivals any more; what a program
-- of the version before left there is booked. A program that does not know these files would not see what waits in them,
-- so it must not work on the database.
CREATE TABLE arrival_files (
    no INTEGER PRIMARY KEY,
    booked INTEGER NOT NULL
) STRICT;
