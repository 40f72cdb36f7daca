"""Tests of the telemetry client and the inbox."""
