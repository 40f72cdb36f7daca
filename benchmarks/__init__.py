"""Measurements of the product on simulated fleets: how right it is, how fast it is."""
