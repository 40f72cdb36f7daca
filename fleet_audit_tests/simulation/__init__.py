"""Tests of the simulated fleet and its API server."""
