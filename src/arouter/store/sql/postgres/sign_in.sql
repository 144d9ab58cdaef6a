-- Signing in. Words in braces are lists of columns and places.

-- name: get_login
SELECT organization_id, member_id, password, totp_secret, totp_confirmed, totp_step,
    (SELECT count(*) FROM recovery_codes WHERE recovery_codes.member_id = logins.member_id)
FROM logins WHERE organization_id = $1 AND member_id = $2;

-- name: set_password
INSERT INTO logins (organization_id, member_id, password, totp_confirmed, totp_step)
SELECT organization_id, id, $3, false, 0 FROM members WHERE organization_id = $1 AND id = $2
ON CONFLICT (member_id) DO UPDATE SET password = excluded.password;

-- name: end_sessions
DELETE FROM sessions WHERE member_id = $1;

-- name: delete_login
DELETE FROM logins WHERE member_id = $1;

-- name: enrol_totp
UPDATE logins SET totp_secret = $3 WHERE organization_id = $1 AND member_id = $2 AND NOT totp_confirmed;

-- name: confirm_totp
UPDATE logins SET totp_confirmed = true, totp_step = $4
WHERE organization_id = $1 AND member_id = $2 AND totp_secret = $3 AND NOT totp_confirmed;

-- name: every_totp
SELECT organization_id, member_id, password, totp_secret, totp_confirmed, totp_step,
    (SELECT count(*) FROM recovery_codes WHERE recovery_codes.member_id = logins.member_id)
FROM logins WHERE totp_secret IS NOT NULL AND member_id > $1 ORDER BY member_id LIMIT $2;

-- name: reseal_totp
UPDATE logins SET totp_secret = $4 WHERE organization_id = $1 AND member_id = $2 AND totp_secret = $3;

-- name: remove_totp
UPDATE logins SET totp_secret = NULL, totp_confirmed = false, totp_step = 0
WHERE organization_id = $1 AND member_id = $2 AND totp_secret IS NOT NULL;

-- name: delete_recovery_codes
DELETE FROM recovery_codes WHERE member_id = $1;

-- name: add_recovery_code
INSERT INTO recovery_codes (member_id, code) VALUES ($1, $2);

-- name: use_totp
UPDATE logins SET totp_step = $3 WHERE organization_id = $1 AND member_id = $2 AND totp_step < $3;

-- name: use_recovery_code
DELETE FROM recovery_codes
WHERE member_id = (SELECT member_id FROM logins WHERE organization_id = $1 AND member_id = $2) AND code = $3;

-- name: add_session
INSERT INTO sessions (secret, {columns}) VALUES ($1, {places});

-- name: forget_old_sessions
DELETE FROM sessions WHERE member_id = $1 AND expires_at_us <= $2;

-- name: get_session
SELECT {columns} FROM sessions WHERE id = $1;

-- name: find_session
SELECT {columns} FROM sessions WHERE secret = $1;

-- name: list_sessions
SELECT {columns} FROM sessions WHERE organization_id = $1 AND member_id = $2 ORDER BY created_at_us DESC, id DESC;

-- name: see_session
UPDATE sessions SET seen_at_us = $2 WHERE id = $1 AND seen_at_us < $2;

-- name: delete_session
DELETE FROM sessions WHERE organization_id = $1 AND member_id = $2 AND id = $3;

-- name: lock_attempts
-- Whoever counts what another one is about to add waits for it. The first number keeps these locks apart from others.
SELECT pg_advisory_xact_lock(1399418708, hashtext($1));

-- name: forget_old_attempts
-- Those that another one forgets at this moment are left to it.
DELETE FROM sign_in_attempts
WHERE ctid = ANY(ARRAY(SELECT ctid FROM sign_in_attempts WHERE at_us <= $1 FOR UPDATE SKIP LOCKED));

-- name: attempts
SELECT count(*), min(at_us) FROM sign_in_attempts WHERE who = $1 AND at_us > $2;

-- name: add_attempt
INSERT INTO sign_in_attempts (who, at_us) VALUES ($1, $2);

-- name: forget_attempts
DELETE FROM sign_in_attempts WHERE who = $1;
