"""What people receive."""
