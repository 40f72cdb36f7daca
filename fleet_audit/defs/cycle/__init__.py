"""A measurement cycle: results that need all of its days."""
