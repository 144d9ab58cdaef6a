"""Days whose records have expired: what was noted of them before they were deleted. Their sums stay."""

import apsw

from arouter.store.sqlite.statements import queries


def has_expired_days(connection: apsw.Connection) -> bool:
    """Also if the first of them is just expiring."""
    return bool(connection.execute(queries()["has_expired_days"]).get)


def expired_records(connection: apsw.Connection) -> int | None:
    """How many records have expired; None while a day is expiring, and nobody can tell."""
    count = connection.execute(queries()["expired_records"]).get
    return None if count is None else int(count)
