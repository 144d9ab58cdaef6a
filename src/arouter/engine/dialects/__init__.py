"""The dialects of clients: what each relays, and how it is read and written where it is translated."""
