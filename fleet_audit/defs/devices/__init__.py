"""Devices: what their odometers did, whether they can be believed, how they are calibrated."""
