"""Versions of reference tables: which one is in force, its history, and the days that a change touches."""
