"""A fleet with known truth, and the API server for it."""
