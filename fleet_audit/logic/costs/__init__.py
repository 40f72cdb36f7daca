"""Tariffs, prices, fixed costs and forecasts."""
