"""The zone whose days are the partitions: a vehicle's own day is in its unit's zone."""

PARTITION_ZONE = "America/Sao_Paulo"
