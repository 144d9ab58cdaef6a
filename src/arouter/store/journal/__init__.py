"""What happens while the storage is away: records go to a file on this machine, and to the ledger when it is back.

outage    how long the storage may be away, and what is told of it
file      the tables of one journal, in SQLite
writer    the thread that writes it, with group commit
folder    the journals of all processes of this machine; whose process is dead
delivery  from a journal to the ledger, in order, each record once
ledger    the ledger that does all this, in front of another one
"""
