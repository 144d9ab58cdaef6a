-- Organizations, workspaces, members and invitations. Words in braces are lists of columns and places.

-- name: add_organization
INSERT INTO organizations ({columns}) VALUES ({places});

-- name: get_organization
SELECT {columns} FROM organizations WHERE id = $1;

-- name: list_organizations
SELECT {columns} FROM organizations ORDER BY created_at_us, id LIMIT $1 OFFSET $2;

-- name: replace_organization
UPDATE organizations SET name = $2, updated_at_us = $3 WHERE id = $1;

-- name: add_workspace
INSERT INTO workspaces ({columns}) VALUES ({places});

-- name: get_workspace
SELECT {columns} FROM workspaces WHERE organization_id = $1 AND id = $2;

-- name: list_workspaces
SELECT {columns} FROM workspaces WHERE organization_id = $1 AND archived <= $2
ORDER BY created_at_us, id LIMIT $3 OFFSET $4;

-- name: replace_workspace
UPDATE workspaces SET name = $3, archived = $4, updated_at_us = $5 WHERE organization_id = $1 AND id = $2;

-- name: delete_workspace
DELETE FROM workspaces WHERE organization_id = $1 AND id = $2
    AND NOT EXISTS (SELECT 1 FROM home WHERE workspace_id = $2)
    AND NOT EXISTS (SELECT 1 FROM keys WHERE organization_id = $1 AND workspace_id = $2)
    AND NOT EXISTS (
        SELECT 1 FROM members, json_array_elements_text(workspace_ids::json) AS one
        WHERE organization_id = $1 AND one = $2
    )
    AND NOT EXISTS (
        SELECT 1 FROM invitations, json_array_elements_text(workspace_ids::json) AS one
        WHERE organization_id = $1 AND accepted_by IS NULL AND one = $2
    )
    AND NOT EXISTS (SELECT 1 FROM rollups WHERE organization_id = $1 AND workspace_id = $2);

-- name: add_member
INSERT INTO members ({columns}) VALUES ({places});

-- name: get_member
SELECT {columns} FROM members WHERE organization_id = $1 AND id = $2;

-- name: list_members
SELECT {columns} FROM members WHERE organization_id = $1 ORDER BY created_at_us, id LIMIT $2 OFFSET $3;

-- name: members_with_email
SELECT {columns} FROM members WHERE email = $1 ORDER BY created_at_us, id;

-- name: replace_member
UPDATE members SET name = $3, role = $4, disabled = $5, workspace_ids = $6, updated_at_us = $7
WHERE organization_id = $1 AND id = $2;

-- name: delete_member
DELETE FROM members WHERE organization_id = $1 AND id = $2;

-- name: other_admins
SELECT count(*) FROM members WHERE organization_id = $1 AND id <> $2 AND role = 'admin' AND NOT disabled;

-- name: add_invitation
INSERT INTO invitations (secret, {columns}) VALUES ($1, {places});

-- name: get_invitation
SELECT {columns} FROM invitations WHERE organization_id = $1 AND id = $2;

-- name: list_invitations
SELECT {columns} FROM invitations WHERE organization_id = $1
ORDER BY created_at_us DESC, id DESC LIMIT $2 OFFSET $3;

-- name: find_invitation
SELECT {columns} FROM invitations WHERE secret = $1;

-- name: accept_invitation
UPDATE invitations SET accepted_by = $3
WHERE secret = $1 AND organization_id = $2 AND accepted_by IS NULL AND expires_at_us > $4;

-- name: delete_invitation
DELETE FROM invitations WHERE organization_id = $1 AND id = $2;
