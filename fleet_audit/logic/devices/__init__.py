"""Telematics devices: their health, the events of their odometers, their calibration."""
