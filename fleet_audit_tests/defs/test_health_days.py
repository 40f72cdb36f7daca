"""The health of the last days on a real instance: failed and missing days with the cure, unusual volumes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from fleet_audit.defs.health.days import HEALTH, REPORT, health_days
from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.schema.facts import STAGE_COUNTS
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance


@dg.asset(key=["fact", "findings"], partitions_def=daily_partitions)
def findings() -> None:
    """Stands for a table whose run fails."""
    raise ValueError("no contract")


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path) as instance:
        yield instance


def _day(back: int) -> dt.date:
    """So many days before yesterday."""
    return dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date() - dt.timedelta(days=1 + back)


def test_failed_and_missing_days_have_a_cure_and_a_source_that_shrank_is_named(instance, postgres_url):
    for back in (0, 1, 4, 5):
        instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, partition=str(_day(back))))
    dg.materialize([findings], partition_key=str(_day(1)), instance=instance, raise_on_error=False)
    counts = [(_day(7 * week), 1000.0 if week else 400.0) for week in range(5)]
    rows = [
        (day, "staging", "visit_legs", *[number] * 2, 0, 0, "run", pd.Timestamp.now("UTC")) for day, number in counts
    ]
    Warehouse(postgres_url).upsert(STAGE_COUNTS, pd.DataFrame(rows, columns=STAGE_COUNTS.column_names))
    fleet = {"fleet": FleetResource(warehouse_url=postgres_url)}

    made = dg.materialize([health_days], instance=instance, resources=fleet)

    assert made.success
    failed, unusual = sorted(made.get_asset_check_evaluations(), key=lambda one: one.check_name)
    assert not failed.passed
    lines = str(failed.metadata["found"].value).splitlines()
    assert lines[0].startswith(f"- {_day(1)}: fact/findings failed. The newest run with the tag fleet/days")
    assert lines[1] == (
        f"- {_day(3)} to {_day(2)}: never computed. Run job day for it (Jobs, day, Materialize), or "
        f"fleet-audit run --from {_day(3)} --to {_day(2)}."
    )
    assert len(lines) == 2
    assert not unusual.passed
    assert unusual.description.startswith(f"{_day(0)}: visit_legs has 400 rows, usual on the same weekday are 1,000.")
    (record,) = instance.fetch_materializations(HEALTH, limit=2).records
    numbers = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert (numbers["failed_days"], numbers["missing_days"], numbers["unusual_volumes"]) == (1, 2, 1)
