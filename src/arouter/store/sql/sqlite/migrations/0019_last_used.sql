-- When a key was used last, hour by hour: of hours whose records are no rows any more it is not known.
ALTER TABLE key_hours ADD COLUMN last_used_us INTEGER;

UPDATE key_hours SET last_used_us = (
    SELECT max(created_at_us) FROM records
    WHERE records.key_no = key_hours.key_no AND created_at_us >= hour * 3600000000
        AND created_at_us < (hour + 1) * 3600000000
)
WHERE (hour / 24) NOT IN (SELECT day FROM sealed_days UNION SELECT day FROM expired_days);
