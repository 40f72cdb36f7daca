"""Rules of a whole cycle, one module per family, and what they look at."""
