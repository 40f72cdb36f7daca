"""Commands of `fleet-audit` by subject; `cli.main` adds them to its group."""
