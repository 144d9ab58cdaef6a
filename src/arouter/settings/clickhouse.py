"""The settings of the copy in ClickHouse."""

from dataclasses import dataclass

from arouter.settings.values import Secret, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHouse:
    """A copy of the ledger in ClickHouse, which answers questions about the activity."""

    url: str = setting("", "Where it is, such as http://clickhouse:8123; empty: there is no copy. Needs the extra.")
    user: str = setting("", "Who asks it; empty: ClickHouse's own default.")
    password: Secret = setting(Secret(""), "The password that goes with it.")
    database: str = setting("arouter", "The database there. It is made if it is not there.")
    cluster: str = setting("", "The cluster, as ClickHouse's configuration names it; empty: one server.")
    follow_every_s: float = setting(1.0, "How often the copy is brought up to date.")
    most_lag_s: float = setting(30.0, "A copy that lags more does not answer sums: the ledger does.")
    most_memory_bytes: int = setting(4_000_000_000, "What one question may use of ClickHouse's memory.")
