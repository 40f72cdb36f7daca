"""What arrives: archived as received, parsed, recorded, and put together into the staging of a day."""
