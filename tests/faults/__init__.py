"""Things broken on purpose, between a ledger and what it is kept in."""
