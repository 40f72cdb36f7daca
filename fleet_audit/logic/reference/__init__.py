"""Reference data and its questions: what is valid on a day, places, routes, shifts, tolerances, pending devices."""
