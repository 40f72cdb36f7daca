"""Closing a cycle: what is frozen and how, whether its days are ready, and how anyone can replay it."""
