"""The activity at 100 million records: one user's page, sums and exports, while others are being recorded.

`world` says which records there are, `tables` makes a day of them as an Arrow table, `build` puts them into a database
that is kept; `recording`, `asking` and `exporting` measure, each in a process of its own; `figures` and `show` tell.
"""
