"""Pages of the telemetry API: outline, columns and positions."""
