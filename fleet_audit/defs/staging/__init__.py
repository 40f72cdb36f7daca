"""The typed rows of a day."""
