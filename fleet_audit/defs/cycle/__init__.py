"""A measurement cycle: what only all of its days together show."""
