"""The loader of `dbt_like_sql`: reads, checks and publishes its models. Knows SQL and PostgreSQL, no Dagster."""
