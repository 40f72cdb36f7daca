"""Times of trips and runs: one vehicle or driver in two at once, shifts, the plan (rules T01 to T04)."""
