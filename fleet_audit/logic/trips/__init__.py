"""From positions and visit legs to trips, kilometres and the ledger of a vehicle-day."""
