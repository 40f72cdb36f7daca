"""Backups of an installation: warehouse, Dagster instance and lake under one manifest of digests, and their restore."""
