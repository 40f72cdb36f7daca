"""Rules of one operational day, one module per family, and what they look at."""
