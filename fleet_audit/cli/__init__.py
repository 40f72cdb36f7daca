"""The command line `fleet-audit` and its commands."""
