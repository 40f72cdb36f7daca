"""The databases of an installation that names none: PostgreSQL's server, and what new homes start from."""
