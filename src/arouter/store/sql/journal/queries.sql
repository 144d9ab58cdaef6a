-- The statements of the journal.

-- name: append
INSERT OR IGNORE INTO records (id, closed_at_us, known, body) VALUES (?, ?, ?, ?);

-- name: open
INSERT OR IGNORE INTO openings (id, body) VALUES (?, ?);

-- name: close
DELETE FROM openings WHERE id = ?;

-- name: openings
SELECT id, body FROM openings ORDER BY id;

-- name: take
SELECT no, id, known, body FROM records WHERE no > ? ORDER BY no LIMIT ?;

-- name: remove
DELETE FROM records WHERE no = ?;

-- name: set_aside
INSERT OR IGNORE INTO set_aside (id, set_aside_at_us, reason, body) VALUES (?, ?, ?, ?);

-- name: all_set_aside
SELECT id, set_aside_at_us, reason, body FROM set_aside ORDER BY set_aside_at_us, id;

-- name: forget_set_aside
DELETE FROM set_aside WHERE id = ?;

-- name: oldest
SELECT closed_at_us FROM records ORDER BY no LIMIT 1;

-- name: counts
SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM openings), (SELECT count(*) FROM set_aside);
