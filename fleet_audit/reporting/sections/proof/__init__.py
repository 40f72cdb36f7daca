"""Sections that prove one finding or trip: readings, positions and legs, row by row."""
