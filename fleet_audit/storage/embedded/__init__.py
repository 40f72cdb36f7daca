"""The embedded PostgreSQL: its server, and the data folder that new ones start from."""
