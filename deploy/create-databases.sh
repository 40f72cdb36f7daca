#!/bin/sh
# The PostgreSQL image runs it once, when its volume is new.
set -eu
psql -v ON_ERROR_STOP=1 -v migrate_password="$MIGRATE_PASSWORD" -v run_password="$RUN_PASSWORD" -v api_password="$API_PASSWORD" \
    -U postgres -d postgres -f /create-databases.sql
