"""Users and their rights, and the read API that serves each what they may see."""
