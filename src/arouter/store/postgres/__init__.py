"""PostgreSQL 15 to 18 behind the three protocols, for gateways on more than one machine."""
