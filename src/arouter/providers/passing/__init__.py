"""Answers that go on to the client byte for byte, and what the ledger reads of them on the way."""
