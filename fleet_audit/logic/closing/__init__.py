"""What a close freezes, how adjustments follow it, and until when it can be contested."""
