-- What a program has to know to work on the database, beside the version in its header: the last step that is not
-- compatible with those before it.
CREATE TABLE needed_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
