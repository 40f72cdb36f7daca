"""Documents that people receive."""
