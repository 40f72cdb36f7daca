"""Dagster definitions, by subject: each folder holds assets.py and, where there are any, checks.py."""
