"""Upkeep of the installation: what is removed after its time."""
