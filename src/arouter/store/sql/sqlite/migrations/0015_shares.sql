-- Columns of days have a table more. Those that are there are forgotten, and made anew.
DELETE FROM folded_days;
