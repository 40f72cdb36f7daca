"""What the simulated fleet is and does: its country, roster, schedules and the labels planted on them."""
