"""What other programs read of a running installation: log lines as JSON, and metrics for Prometheus."""
