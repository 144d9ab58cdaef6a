-- Whoever copies the ledger reads it batch by batch. Records of one batch share an entry of this index.
CREATE INDEX records_by_batch ON records (batch);
