"""What carriers and vendors write: bulletins, visit reports and reference tables."""
