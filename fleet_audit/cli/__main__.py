"""`python -m fleet_audit.cli` is `fleet-audit`."""

from fleet_audit.cli.main import main

main()
