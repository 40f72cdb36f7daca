"""Arrivals: the inbox and the telemetry API, archived as received."""
