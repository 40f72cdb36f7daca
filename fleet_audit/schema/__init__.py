"""The column dictionary of every table, and what is derived from it."""
