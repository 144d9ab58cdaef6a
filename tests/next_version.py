"""The next version of this program: a copy of it with one more migration, for processes that are started with it."""

import shutil
from pathlib import Path

import arouter
from arouter.store.migrate import migrations

NEXT_ON_POSTGRES = """-- Compatible: a table, and a column of every other one.
DO $$ DECLARE name TEXT; BEGIN
    FOR name IN SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP EXECUTE format('ALTER TABLE %I ADD COLUMN of_the_next_version TEXT DEFAULT ''later''', name); END LOOP;
END $$;
CREATE TABLE next_version (one INTEGER PRIMARY KEY);
"""
NEXT_ON_SQLITE = """-- Compatible: a table, and columns that older programs leave as they are.
CREATE TABLE next_version (one INTEGER PRIMARY KEY) STRICT;
ALTER TABLE keys ADD COLUMN of_the_next_version TEXT;
ALTER TABLE records ADD COLUMN of_the_next_version TEXT;
ALTER TABLE leases ADD COLUMN of_the_next_version TEXT;
"""


def copy_of_program(folder: Path) -> Path:
    """A copy of this version. What is returned is for `PYTHONPATH`."""
    shutil.copytree(Path(arouter.__file__).parent, folder / "arouter")
    return folder


def add_migration(program: Path, engine: str, sql: str) -> int:
    """Make the copy the next version; its schema version."""
    number = len(migrations(engine)) + 1
    steps = program / "arouter" / "store" / "sql" / engine / "migrations"
    (steps / f"{number:04}_next.sql").write_text(sql, encoding="utf-8")
    return number
