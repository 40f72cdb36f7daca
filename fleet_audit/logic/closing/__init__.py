"""Closes of cycles: digests of frozen rows, adjustments, and deadlines for disputes."""
