"""Pure functions over frames and decimals: no Dagster, SQL, files or clock."""
