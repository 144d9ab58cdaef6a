-- When each end user was seen first and last, by the key and the workspace that asked: it outlives the records.

CREATE TABLE user_spans (
    organization_no INTEGER NOT NULL REFERENCES names (no),
    user_no INTEGER NOT NULL REFERENCES end_users (no),
    key_no INTEGER NOT NULL REFERENCES names (no),
    workspace_no INTEGER NOT NULL REFERENCES names (no),
    first_seen_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    PRIMARY KEY (organization_no, user_no, key_no, workspace_no)
) STRICT, WITHOUT ROWID;

INSERT INTO user_spans
SELECT organization_no, user_no, key_no, workspace_no, min(created_at_us), max(created_at_us)
FROM records WHERE user_no IS NOT NULL GROUP BY 1, 2, 3, 4;
