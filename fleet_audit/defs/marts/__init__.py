"""SQL models as assets and checks."""
