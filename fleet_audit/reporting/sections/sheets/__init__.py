"""Sheets of the package of a cycle, one module each."""
