"""The column dictionary of every table, and its derivations."""
