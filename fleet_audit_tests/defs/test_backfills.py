"""Backfills of days: into which runs they split, and that each run of them is one over its days."""

import dagster as dg
import pytest
from dagster._core.execution.job_backfill import _subdivide_partition_key_range

from fleet_audit.defs.partitions import backfill_policy, daily_partitions
from fleet_audit.defs.run_tags import RANGE_TAGS

MONTH = dg.PartitionKeyRange("2025-05-16", "2025-06-15")


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
def test_a_month_splits_into_runs_of_neighbouring_days():
    policy, ran = backfill_policy(12), []

    @dg.asset(partitions_def=daily_partitions, backfill_policy=policy)
    def days(context: dg.AssetExecutionContext) -> None:
        ran.append(list(context.partition_keys))

    ranges = _subdivide_partition_key_range(daily_partitions, MONTH, policy.max_partitions_per_run)
    with dg.DagsterInstance.ephemeral() as instance:
        for one in ranges:
            tags = dict(zip(RANGE_TAGS, (one.start, one.end), strict=True))
            assert dg.materialize([days], instance=instance, tags=tags).success
    assert [len(keys) for keys in ran] == [12, 12, 7]
    assert [key for keys in ran for key in keys] == list(daily_partitions.get_partition_keys_in_range(MONTH))


def test_without_the_setting_a_backfill_is_one_run():
    assert backfill_policy(None) == dg.BackfillPolicy.single_run()
