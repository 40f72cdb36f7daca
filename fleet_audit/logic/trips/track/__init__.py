"""The track of a vehicle: positions in time order, false fixes and readings found, one device after another."""
