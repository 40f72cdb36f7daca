"""Reference tables: typed rows and their validity."""
