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

-- Of records that are no rows any more, the sums tell the quarters of an hour.
INSERT INTO user_spans
SELECT organization_no, user_no, key_no, workspace_no, min(slot) * 900000000, max(slot) * 900000000
FROM rollups
WHERE user_no > 0 AND (EXISTS (SELECT 1 FROM sealed_days) OR EXISTS (SELECT 1 FROM expired_days))
GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET
    first_seen_us = iif(excluded.first_seen_us / 900000000 < first_seen_us / 900000000,
        excluded.first_seen_us, first_seen_us),
    last_seen_us = iif(excluded.last_seen_us / 900000000 > last_seen_us / 900000000,
        excluded.last_seen_us, last_seen_us);
