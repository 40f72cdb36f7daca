"""The vendor's printed visit report: layout, movements, contradictions."""
