"""Money: the variable cost of trips and the fixed cost of days."""
