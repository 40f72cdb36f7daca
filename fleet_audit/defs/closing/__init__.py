"""Closing: which days are computed to the end, what a closed day would be now, and the close of a cycle."""
