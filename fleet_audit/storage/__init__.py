"""The lake, the warehouse and the embedded PostgreSQL."""
