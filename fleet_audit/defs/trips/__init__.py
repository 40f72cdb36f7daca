"""Movement: legs, trips, what was observed, and the ledger."""
