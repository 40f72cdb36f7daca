"""The command line `fleet-audit` and what its commands do."""
