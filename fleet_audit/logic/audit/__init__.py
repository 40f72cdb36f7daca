"""Declared runs against measured trips: matching, rules, findings and scores."""
