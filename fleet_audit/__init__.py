"""fleet_audit: a contracted bus fleet's telemetry turned into kilometres, money, findings and reports."""

__version__ = "0.1.0"
