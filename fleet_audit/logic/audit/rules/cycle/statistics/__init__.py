"""Statistical rules: what chance does not explain, corrected for the number of vehicles."""
