"""What would exist without buses: cycles, clocks, intervals, identity, money, parameters."""
