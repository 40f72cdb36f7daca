"""Stops and paths of coordinates that an export rounds: cells, what proves a place, and what stays open."""
