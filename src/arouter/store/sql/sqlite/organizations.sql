-- Organizations, workspaces, members and invitations. Words in braces are lists of columns and places.

-- name: add_organization
INSERT INTO organizations ({columns}) VALUES ({places});

-- name: get_organization
SELECT {columns} FROM organizations WHERE id = ?;

-- name: list_organizations
SELECT {columns} FROM organizations ORDER BY created_at_us, id LIMIT ? OFFSET ?;

-- name: replace_organization
UPDATE organizations SET name = ?, updated_at_us = ? WHERE id = ?;

-- name: add_workspace
INSERT INTO workspaces ({columns}) VALUES ({places});

-- name: get_workspace
SELECT {columns} FROM workspaces WHERE organization_id = ? AND id = ?;

-- name: list_workspaces
SELECT {columns} FROM workspaces WHERE organization_id = ? AND archived <= ?
ORDER BY created_at_us, id LIMIT ? OFFSET ?;

-- name: replace_workspace
UPDATE workspaces SET name = ?, archived = ?, updated_at_us = ? WHERE organization_id = ? AND id = ?;

-- name: delete_workspace
DELETE FROM workspaces WHERE organization_id = ?1 AND id = ?2
    AND NOT EXISTS (SELECT 1 FROM home WHERE workspace_id = ?2)
    AND NOT EXISTS (SELECT 1 FROM keys WHERE organization_id = ?1 AND workspace_id = ?2)
    AND NOT EXISTS (SELECT 1 FROM members, json_each(workspace_ids) WHERE organization_id = ?1 AND value = ?2)
    AND NOT EXISTS (
        SELECT 1 FROM invitations, json_each(workspace_ids)
        WHERE organization_id = ?1 AND accepted_by IS NULL AND value = ?2
    )
    AND NOT EXISTS (
        SELECT 1 FROM rollups
        WHERE organization_no = (SELECT no FROM names WHERE text = ?1)
            AND workspace_no = (SELECT no FROM names WHERE text = ?2)
    );

-- name: add_member
INSERT INTO members ({columns}) VALUES ({places});

-- name: get_member
SELECT {columns} FROM members WHERE organization_id = ? AND id = ?;

-- name: list_members
SELECT {columns} FROM members WHERE organization_id = ? ORDER BY created_at_us, id LIMIT ? OFFSET ?;

-- name: members_with_email
SELECT {columns} FROM members WHERE email = ? ORDER BY created_at_us, id;

-- name: replace_member
UPDATE members SET name = ?, role = ?, disabled = ?, workspace_ids = ?, updated_at_us = ?
WHERE organization_id = ? AND id = ?;

-- name: delete_member
DELETE FROM members WHERE organization_id = ? AND id = ?;

-- name: other_admins
SELECT count(*) FROM members WHERE organization_id = ? AND id <> ? AND role = 'admin' AND NOT disabled;

-- name: add_invitation
INSERT INTO invitations ({columns}, secret) VALUES ({places}, ?);

-- name: get_invitation
SELECT {columns} FROM invitations WHERE organization_id = ? AND id = ?;

-- name: list_invitations
SELECT {columns} FROM invitations WHERE organization_id = ? ORDER BY created_at_us DESC, id DESC LIMIT ? OFFSET ?;

-- name: find_invitation
SELECT {columns} FROM invitations WHERE secret = ?;

-- name: accept_invitation
UPDATE invitations SET accepted_by = ?
WHERE secret = ? AND organization_id = ? AND accepted_by IS NULL AND expires_at_us > ?;

-- name: delete_invitation
DELETE FROM invitations WHERE organization_id = ? AND id = ?;
