"""Dagster definitions, by subject."""
