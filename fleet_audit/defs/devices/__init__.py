"""Devices: odometer events, health and calibration."""
