"""Closing: fully computed days, adjustments of closed days, and the close of a cycle."""
