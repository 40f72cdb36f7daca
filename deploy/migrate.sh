#!/bin/sh
# Brings both databases to the form of this version, as fleet_migrate.
set -eu
fleet-audit migrate --run-role fleet_run
dagster instance migrate
