"""Short messages to people, and how they are sent."""
