-- Who is blocked is found among millions of users of whom something is said.
CREATE INDEX user_rules_blocked ON user_rules (organization_id, name) WHERE blocked = 1;
