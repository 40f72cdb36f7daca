"""Short messages to people, and their delivery."""
