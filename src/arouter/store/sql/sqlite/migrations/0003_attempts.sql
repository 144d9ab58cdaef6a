-- The attempts of a request that was asked for more than once, as a JSON array; most have none.

ALTER TABLE records ADD COLUMN tried TEXT;
