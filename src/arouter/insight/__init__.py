"""What the ledger's sums mean: pure functions over series, without I/O."""
