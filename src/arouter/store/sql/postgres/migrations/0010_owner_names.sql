-- Compatible: the name that a process gives itself, by which others tell that it is dead; older ones have none.
ALTER TABLE owners ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '';
