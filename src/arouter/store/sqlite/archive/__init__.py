"""Sealed days: records as compressed blocks of columns. Needs pyarrow and numpy, the extra `analytics`.

Nothing imports this package but `sealed.archive`, and that only where a database has sealed days.
"""
