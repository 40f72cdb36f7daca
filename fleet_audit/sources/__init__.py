"""Sources of data: the telemetry API and the inbox."""
