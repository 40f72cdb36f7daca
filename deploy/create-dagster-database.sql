-- Runs once, when the volume is new: Dagster's own tables live beside the warehouse, not in it.
create database dagster;
