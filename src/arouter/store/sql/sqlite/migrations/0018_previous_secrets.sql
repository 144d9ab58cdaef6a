-- What a key was found by before its last rotation, as long as that is worth something beside the new one.
ALTER TABLE keys ADD COLUMN previous_secret TEXT;
ALTER TABLE keys ADD COLUMN previous_expires_at_us INTEGER;

CREATE UNIQUE INDEX keys_by_previous_secret ON keys (previous_secret) WHERE previous_secret IS NOT NULL;
