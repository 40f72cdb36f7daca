"""Where data comes from: the telemetry API and the inbox."""
