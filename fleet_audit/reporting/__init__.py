"""Documents that people receive, built from frames."""
