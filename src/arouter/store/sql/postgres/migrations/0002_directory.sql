-- Organizations with all that is in them, keys, guardrails, and the log of all changes.

-- retention_days: how long records are kept; NULL as the settings say.
CREATE TABLE organizations (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT,
    retention_days INTEGER
);

CREATE TABLE workspaces (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT,
    archived BOOLEAN NOT NULL
);

CREATE INDEX workspaces_by_age ON workspaces (organization_id, created_at_us, id);

CREATE TABLE home (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    secret BYTEA NOT NULL
);

-- revision grows by one with every change of the directory, user_rules with every change of a single user's rules. The
-- row is locked until the change is committed: who reads a number sees all changes up to it.
CREATE TABLE directory_revision (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL,
    user_rules BIGINT NOT NULL
);

CREATE TABLE members (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    email TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT,
    disabled BOOLEAN NOT NULL,
    UNIQUE (organization_id, email)
);

CREATE INDEX members_by_age ON members (organization_id, created_at_us, id);
CREATE INDEX members_by_email ON members (email);

-- secret is the SHA-256 of the token.
CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY,
    secret TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    email TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    invited_by TEXT COLLATE "C",
    accepted_by TEXT COLLATE "C"
);

CREATE INDEX invitations_by_age ON invitations (organization_id, created_at_us, id);

-- What members sign in with. A password is an argon2 hash, recovery codes and the tokens of sessions are SHA-256.
CREATE TABLE logins (
    member_id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    password TEXT COLLATE "C",
    totp_secret TEXT COLLATE "C",
    totp_confirmed BOOLEAN NOT NULL,
    totp_step BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    member_id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (member_id, code)
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    secret TEXT COLLATE "C" NOT NULL UNIQUE,
    organization_id TEXT COLLATE "C" NOT NULL,
    member_id TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    seen_at_us BIGINT NOT NULL
);

CREATE INDEX sessions_by_member ON sessions (member_id, created_at_us);

-- who is the SHA-256 of an address, whether somebody has it or not.
CREATE TABLE sign_in_attempts (
    who TEXT COLLATE "C" NOT NULL,
    at_us BIGINT NOT NULL
);

CREATE INDEX sign_in_attempts_by_who ON sign_in_attempts (who, at_us);
CREATE INDEX sign_in_attempts_by_age ON sign_in_attempts (at_us);

-- Who changed what. An organization's entries are numbered from 1; the hash covers an entry and the hash before it.
CREATE TABLE audit (
    organization_id TEXT COLLATE "C" NOT NULL,
    no BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    action TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C",
    before TEXT COLLATE "C",
    after TEXT COLLATE "C",
    hash BYTEA NOT NULL,
    PRIMARY KEY (organization_id, no)
);

-- The last entry of each organization. Whoever changes anything of an organization locks its row here first, and waits
-- for whoever has it.
CREATE TABLE audit_ends (
    organization_id TEXT COLLATE "C" PRIMARY KEY,
    no BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    hash BYTEA NOT NULL
);

-- A deleted key has no secret; its row stays, because records tell its name.
CREATE TABLE keys (
    hash TEXT COLLATE "C" PRIMARY KEY,
    secret TEXT COLLATE "C" UNIQUE,
    organization_id TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C",
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT,
    expires_at_us BIGINT,
    deleted_at_us BIGINT,
    disabled BOOLEAN NOT NULL,
    spending_limit BIGINT,
    limit_reset TEXT COLLATE "C",
    allowed_providers TEXT COLLATE "C",
    allowed_models TEXT COLLATE "C",
    user_policy TEXT COLLATE "C" NOT NULL,
    fixed_user TEXT COLLATE "C",
    activity_scope TEXT COLLATE "C" NOT NULL,
    rate_limit TEXT COLLATE "C",
    default_user_limits TEXT COLLATE "C"
);

CREATE INDEX keys_by_age ON keys (organization_id, created_at_us, hash);

-- The keys for providers that organizations bring. A secret is kept sealed: sealed_with names what it can be read with.
CREATE TABLE provider_keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    api_key_hash TEXT COLLATE "C",
    provider TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C",
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT,
    disabled BOOLEAN NOT NULL,
    byok_fallback BOOLEAN NOT NULL,
    sealed_with TEXT COLLATE "C" NOT NULL,
    nonce BYTEA NOT NULL,
    ciphertext BYTEA NOT NULL
);

CREATE INDEX provider_keys_by_age ON provider_keys (organization_id, created_at_us, id);

-- Guardrails: limits and lists are JSON, because they are only ever read whole.
CREATE TABLE guardrails (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C",
    limits TEXT COLLATE "C" NOT NULL,
    lists TEXT COLLATE "C" NOT NULL,
    disabled BOOLEAN NOT NULL,
    creator TEXT COLLATE "C",
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT
);

CREATE INDEX guardrails_by_age ON guardrails (organization_id, created_at_us, id);

-- What is said of single end users. changed is the number of the last change.
CREATE TABLE user_rules (
    organization_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    limits TEXT COLLATE "C" NOT NULL,
    blocked BOOLEAN NOT NULL,
    reason TEXT COLLATE "C",
    blocked_at_us BIGINT,
    updated_at_us BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (organization_id, name)
);

CREATE INDEX user_rules_by_change ON user_rules (changed);
