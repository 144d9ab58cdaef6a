-- The workspaces that a member is in, or an invited one will be, as JSON; none: every one.
ALTER TABLE members ADD COLUMN workspace_ids TEXT NOT NULL DEFAULT '[]';
ALTER TABLE invitations ADD COLUMN workspace_ids TEXT NOT NULL DEFAULT '[]';
