"""The rules of RULES.md section 6, one module per family."""
