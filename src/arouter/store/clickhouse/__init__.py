"""A copy of the ledger in ClickHouse, made from its feed and asked for sums, users and pages.

It is derived: nothing is lost with it, and one command makes it anew. The extra `clickhouse` is imported by
`driver` alone.
"""
