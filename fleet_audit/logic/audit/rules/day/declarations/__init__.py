"""What bulletins write, against itself: runs, numbers, dates and odometer readings (rules D08, D10 to D12, Q05)."""
