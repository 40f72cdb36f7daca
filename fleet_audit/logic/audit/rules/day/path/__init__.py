"""Ways of trips: speeds, unseen movement, repeated tracks, detours, destinations (rules G01 to G08)."""
