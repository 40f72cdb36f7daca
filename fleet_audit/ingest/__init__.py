"""Arrivals: archived as received, parsed, recorded, and merged into the staging of a day."""
