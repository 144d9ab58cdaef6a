-- Signing in.

-- name: get_login
SELECT organization_id, member_id, password, totp_secret, totp_confirmed, totp_step,
    (SELECT count(*) FROM recovery_codes WHERE recovery_codes.member_id = logins.member_id)
FROM logins WHERE organization_id = ? AND member_id = ?;

-- name: set_password
INSERT INTO logins (organization_id, member_id, password, totp_confirmed, totp_step)
SELECT organization_id, id, ?3, 0, 0 FROM members WHERE organization_id = ?1 AND id = ?2
ON CONFLICT (member_id) DO UPDATE SET password = excluded.password;

-- name: end_sessions
DELETE FROM sessions WHERE member_id = ?;

-- name: delete_login
DELETE FROM logins WHERE member_id = ?;

-- name: enrol_totp
UPDATE logins SET totp_secret = ?3 WHERE organization_id = ?1 AND member_id = ?2 AND NOT totp_confirmed;

-- name: confirm_totp
UPDATE logins SET totp_confirmed = 1, totp_step = ?4
WHERE organization_id = ?1 AND member_id = ?2 AND totp_secret = ?3 AND NOT totp_confirmed;

-- name: every_totp
SELECT organization_id, member_id, password, totp_secret, totp_confirmed, totp_step,
    (SELECT count(*) FROM recovery_codes WHERE recovery_codes.member_id = logins.member_id)
FROM logins WHERE totp_secret IS NOT NULL AND member_id > ? ORDER BY member_id LIMIT ?;

-- name: reseal_totp
UPDATE logins SET totp_secret = ?4 WHERE organization_id = ?1 AND member_id = ?2 AND totp_secret = ?3;

-- name: remove_totp
UPDATE logins SET totp_secret = NULL, totp_confirmed = 0, totp_step = 0
WHERE organization_id = ? AND member_id = ? AND totp_secret IS NOT NULL;

-- name: delete_recovery_codes
DELETE FROM recovery_codes WHERE member_id = ?;

-- name: add_recovery_code
INSERT INTO recovery_codes (member_id, code) VALUES (?, ?);

-- name: use_totp
UPDATE logins SET totp_step = ?3 WHERE organization_id = ?1 AND member_id = ?2 AND totp_step < ?3;

-- name: use_recovery_code
DELETE FROM recovery_codes WHERE member_id = (SELECT member_id FROM logins WHERE organization_id = ? AND member_id = ?)
    AND code = ?;

-- name: add_session
INSERT INTO sessions (id, organization_id, member_id, created_at_us, expires_at_us, seen_at_us, secret)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: forget_old_sessions
DELETE FROM sessions WHERE member_id = ? AND expires_at_us <= ?;

-- name: get_session
SELECT id, organization_id, member_id, created_at_us, expires_at_us, seen_at_us FROM sessions WHERE id = ?;

-- name: find_session
SELECT id, organization_id, member_id, created_at_us, expires_at_us, seen_at_us FROM sessions WHERE secret = ?;

-- name: list_sessions
SELECT id, organization_id, member_id, created_at_us, expires_at_us, seen_at_us FROM sessions
WHERE organization_id = ? AND member_id = ? ORDER BY created_at_us DESC, id DESC;

-- name: see_session
UPDATE sessions SET seen_at_us = max(seen_at_us, ?2) WHERE id = ?1;

-- name: delete_session
DELETE FROM sessions WHERE organization_id = ? AND member_id = ? AND id = ?;

-- name: forget_old_attempts
DELETE FROM sign_in_attempts WHERE at_us <= ?;

-- name: attempts
SELECT count(*), min(at_us) FROM sign_in_attempts WHERE who = ?;

-- name: add_attempt
INSERT INTO sign_in_attempts (who, at_us) VALUES (?, ?);

-- name: forget_attempts
DELETE FROM sign_in_attempts WHERE who = ?;
