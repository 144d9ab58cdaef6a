-- What a program has to know to work on the database: the last step that is not compatible with those before it.
ALTER TABLE schema_version ADD COLUMN needed INTEGER NOT NULL DEFAULT 0;
