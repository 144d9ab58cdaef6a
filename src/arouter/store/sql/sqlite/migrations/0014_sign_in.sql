-- What members sign in with. A password is an argon2 hash, recovery codes and the tokens of sessions are SHA-256.
CREATE TABLE logins (
    member_id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    password TEXT,
    totp_secret TEXT,
    totp_confirmed INTEGER NOT NULL,
    totp_step INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    member_id TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (member_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    secret TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    seen_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_member ON sessions (member_id, created_at_us);

-- who is the SHA-256 of an address, whether somebody has it or not.
CREATE TABLE sign_in_attempts (
    who TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_in_attempts_by_who ON sign_in_attempts (who, at_us);
