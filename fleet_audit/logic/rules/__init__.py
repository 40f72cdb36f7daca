"""The audit rules, one file a family."""
