-- Who says what an adjustment says; NULL for the program itself.

ALTER TABLE adjustments ADD COLUMN author TEXT;
