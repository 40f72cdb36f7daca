"""Declared against measured: matches, findings, scores."""
