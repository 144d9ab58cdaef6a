-- What a key was found by before its last rotation, as long as that is worth something beside the new one.
ALTER TABLE keys ADD COLUMN previous_secret TEXT COLLATE "C" UNIQUE;
ALTER TABLE keys ADD COLUMN previous_expires_at_us BIGINT;

-- When the last of a key's requests of an hour began.
ALTER TABLE key_hours ADD COLUMN last_used_us BIGINT;

UPDATE key_hours SET last_used_us = last FROM (
    SELECT key_hash, (created_at_us / 3600000000)::integer AS hour, max(created_at_us) AS last FROM records GROUP BY 1, 2
) AS used
WHERE used.key_hash = key_hours.key_hash AND used.hour = key_hours.hour;

-- Who is blocked is found among millions of users of whom something is said.
CREATE INDEX user_rules_blocked ON user_rules (organization_id, name) WHERE blocked;

-- The workspaces that a member is in, or an invited one will be, as JSON; none: every one.
ALTER TABLE members ADD COLUMN workspace_ids TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE invitations ADD COLUMN workspace_ids TEXT COLLATE "C" NOT NULL DEFAULT '[]';
