"""Movements of visit reports: which exports are one movement, and what counts beside measured ones."""
