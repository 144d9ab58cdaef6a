-- Organizations and workspaces have names, and people in them. Those that are there are called as new ones are.
ALTER TABLE organizations ADD COLUMN name TEXT NOT NULL DEFAULT 'Default';
ALTER TABLE organizations ADD COLUMN updated_at_us INTEGER;

ALTER TABLE workspaces ADD COLUMN name TEXT NOT NULL DEFAULT 'Default';
ALTER TABLE workspaces ADD COLUMN updated_at_us INTEGER;
ALTER TABLE workspaces ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;

CREATE INDEX workspaces_by_age ON workspaces (organization_id, created_at_us, id);

CREATE TABLE members (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER,
    disabled INTEGER NOT NULL,
    UNIQUE (organization_id, email)
) STRICT;

CREATE INDEX members_by_age ON members (organization_id, created_at_us, id);
CREATE INDEX members_by_email ON members (email);

-- secret is the SHA-256 of the token.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    secret TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    invited_by TEXT,
    accepted_by TEXT
) STRICT;

CREATE INDEX invitations_by_age ON invitations (organization_id, created_at_us, id);
