"""The SQLite backend.

`connections`, `receiver`, `arrival_files`, `disk`, `writer`, `turns`, `checkpointer`, `bound`, `readers`, `owners` and
`recovery` know threads, files and failures;
`rows`, `names`, `appender`, `selection`, `pages`, `summaries`, `users` and `checks` know the tables; `directory` and
`ledger` are the protocols; `database` puts it together.
"""

from arouter.store.sqlite.connections import Durability
from arouter.store.sqlite.database import SqliteStore

__all__ = ["Durability", "SqliteStore"]
