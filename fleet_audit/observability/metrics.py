"""Metrics for Prometheus, read from the warehouse and the Dagster instance at each scrape.

Reading and naming belong here; nothing is computed that `fact` and `ops` do not hold. No label names a person, a plate
or a carrier. A number that is unknown has no sample: it is never zero.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet_audit.defs.automation import known_days
from fleet_audit.defs.recovery import RECOVERY_DAYS, failed_on
from fleet_audit.defs.reports.lateness import READY_HOUR
from fleet_audit.defs.watching import FAILED_TICKS, failing_automations
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.incomplete.days import STILL_REFUSED
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.schema.facts import FINDINGS
from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit.schema.partition import PARTITION_ZONE, partition_day
from fleet_audit.storage.warehouse import Warehouse

PREFIX = "fleet_audit"
WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
_ZONE = ZoneInfo(PARTITION_ZONE)
UNCODED = "contradicts_other_tables"  # a reference table that was read, and refused beside the others, has no code

_LAST_DAY = """
select operational_date as day, computed_at from ops.computed_days
where operational_date <= :yesterday order by operational_date desc limit 1
"""
_NUMBERS = """
select
    (select sum(km_measured) from fact.trips where operational_date = :day) as km_measured,
    (select sum(billable_km) from fact.trip_costs
     where operational_date = :day and variable_cost_brl is not null) as km_billable,
    (select sum(variable_cost_brl) from fact.trip_costs where operational_date = :day) as brl_variable,
    (select sum(amount_brl) from fact.fixed_cost_days where operational_date = :day) as brl_fixed,
    (select count(*) from fact.trips where operational_date = :day) as trips
"""
_FINDINGS = """
select severity, count(*) as findings from fact.findings
where operational_date = :day and status = 'open' and cycle_start is null group by severity
"""
_STAKES = (
    f"select {', '.join(f'sum({name}) as {name}' for name in AMOUNTS)} "  # noqa: S608  # names of the dictionary
    "from fact.vehicle_day_amounts where operational_date = :day"
)
_ACCEPTANCE = "select source_kind, acceptance_pct from ops.day_acceptance where operational_date = :day"
_WAITING_INPUTS = f"""
select
    (select count(distinct file_name) from ops.ingested_files as refused where {STILL_REFUSED}) as refused_files,
    (select count(distinct device_id) from ops.pending_devices) as pending_devices,
    (select count(distinct operational_date) from ops.incomplete_days where operational_date > :since)
        as incomplete_days
"""  # noqa: S608
_REFUSED = f"""
select coalesce(reason_code, '{UNCODED}') as reason_code, count(*) as files
from (
    select distinct on (refused.file_name) refused.file_name, refused.reason_code
    from ops.ingested_files as refused where {STILL_REFUSED}
    order by refused.file_name, refused.received_at desc
) as newest group by 1 order by 1
"""  # noqa: S608


class FleetCollector(Collector):
    """The metrics of one installation; a source that cannot be read costs only its own metrics and is reported as 0."""

    def __init__(self, warehouse: Callable[[], Warehouse], instance: dg.DagsterInstance) -> None:
        """`warehouse` opens the warehouse at each scrape, so that a server that was down is found again."""
        self._warehouse, self._instance = warehouse, instance
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now; scrapes at the same time follow each other."""
        now = dt.datetime.now(dt.UTC)
        parts: dict[str, Callable[[], Iterator[Metric]]] = {
            "warehouse": lambda: warehouse_metrics(self._warehouse(), now),
            "dagster": lambda: dagster_metrics(self._instance, now),
        }
        up = GaugeMetricFamily(f"{PREFIX}_source_up", "1 when the source of metrics could be read", labels=["source"])
        with self._one_at_a_time:
            for source, read in parts.items():
                found, is_up = _read(read)
                up.add_metric([source], is_up)
                yield from found
        yield up


def warehouse_metrics(warehouse: Warehouse, now: dt.datetime) -> Iterator[Metric]:
    """What the tables hold of the last day that was computed to the end, and what waits for a person."""
    yesterday = partition_day(now) - ONE_DAY
    waiting = warehouse.read(_WAITING_INPUTS, {"since": yesterday - RECOVERY_DAYS * ONE_DAY}).iloc[0]
    yield _gauge("refused_files", "Files of the inbox that were refused and not replaced", waiting["refused_files"])
    refused = GaugeMetricFamily(
        f"{PREFIX}_refused_files_by_reason", "The same files by the code of docs/reasons.md", labels=["reason_code"]
    )
    for row in warehouse.read(_REFUSED, {}).itertuples():
        refused.add_metric([row.reason_code], row.files)
    yield refused
    yield _gauge("pending_devices", "Devices that no vehicle is registered for", waiting["pending_devices"])
    yield _gauge("incomplete_days", f"Days of the last {RECOVERY_DAYS} that lack a source", waiting["incomplete_days"])
    last = warehouse.read(_LAST_DAY, {"yesterday": yesterday})
    if last.empty:
        return
    day, computed_at = last["day"].iloc[0], last["computed_at"].iloc[0]
    yield _gauge("last_day_timestamp_seconds", "Start of the last computed operational day", _midnight(day).timestamp())
    yield _gauge("last_day_computed_timestamp_seconds", "When that day was computed last", computed_at.timestamp())
    yield _gauge("late_seconds", "Since 08:00 on which the oldest missing D-1 was due", lateness_s(day, now))
    yield from _day_metrics(warehouse, day)


def _day_metrics(warehouse: Warehouse, day: dt.date) -> Iterator[Metric]:
    known = {"day": day}
    numbers = warehouse.read(_NUMBERS, known).iloc[0]
    yield _gauge("last_day_trips", "Trips of the last computed day", numbers["trips"])
    yield _labelled(
        "last_day_km", "Kilometres of the last computed day", "kind", numbers, ("km_measured", "km_billable")
    )
    yield _labelled("last_day_brl", "R$ of the last computed day", "kind", numbers, ("brl_variable", "brl_fixed"))
    stakes = warehouse.read(_STAKES, known).iloc[0]
    yield _labelled(
        "last_day_at_stake_brl", "R$ at stake; the amounts overlap: never add them", "amount", stakes, AMOUNTS
    )
    found = warehouse.read(_FINDINGS, known)
    counts = dict(zip(found["severity"], found["findings"], strict=True))
    findings = GaugeMetricFamily(
        f"{PREFIX}_last_day_findings", "Open findings of the last computed day", labels=["severity"]
    )
    for severity in FINDINGS.column("severity").values or ():
        findings.add_metric([severity], counts.get(severity, 0))
    yield findings
    rows = warehouse.read(_ACCEPTANCE, known).dropna()
    accepted = GaugeMetricFamily(
        f"{PREFIX}_last_day_acceptance_pct", "Accepted rows per source of the last computed day", labels=["source"]
    )
    for source, percent in zip(rows["source_kind"], rows["acceptance_pct"], strict=True):
        accepted.add_metric([source], float(percent))
    yield accepted


def dagster_metrics(instance: dg.DagsterInstance, now: dt.datetime) -> Iterator[Metric]:
    """Waiting runs, failed days, failing schedules and sensors, and the last sign of each part of the daemon."""
    runs = GaugeMetricFamily(f"{PREFIX}_runs", "Runs by status", labels=["status"])
    for status in WAITING:
        runs.add_metric([status.value.lower()], instance.get_runs_count(dg.RunsFilter(statuses=[status])))
    yield runs
    oldest = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=1, ascending=True)
    waited = max(0.0, now.timestamp() - oldest[0].create_timestamp.timestamp()) if oldest else 0.0
    yield _gauge("queue_oldest_seconds", "Age of the oldest queued run; 0 without one", waited)
    yesterday = partition_day(now) - ONE_DAY
    failed = failed_on(instance, yesterday) if known_days(yesterday, yesterday) else set()
    yield _gauge("failed_days", f"Days of the last {RECOVERY_DAYS} whose last run failed", len(failed))
    failing = len(list(failing_automations(instance)))
    yield _gauge("failing_automations", f"Schedules and sensors whose last {FAILED_TICKS} ticks failed", failing)
    beats = GaugeMetricFamily(
        f"{PREFIX}_daemon_heartbeat_timestamp_seconds", "Last sign of each part of the daemon", labels=["daemon"]
    )
    for kind, heartbeat in instance.get_daemon_heartbeats().items():
        beats.add_metric([kind.lower()], heartbeat.timestamp)
    yield beats


def lateness_s(last_day: dt.date, now: dt.datetime) -> float:
    """Seconds since 08:00 local time on which the report of the first missing day was due; 0 before that hour."""
    due_on = last_day + 2 * ONE_DAY  # the report of a day is due on the next one
    due = dt.datetime.combine(due_on, dt.time(READY_HOUR), _ZONE)
    return max(0.0, now.timestamp() - due.timestamp())


def _read(read: Callable[[], Iterator[Metric]]) -> tuple[list[Metric], int]:
    """The metrics of a source and 1, or none of them and 0: half of them would look like a fall to nothing."""
    try:
        return list(read()), 1
    except (PermanentError, RetryableError, sa.exc.SQLAlchemyError):
        return [], 0


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), _ZONE)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, numbers: pd.Series, columns: Sequence[str]) -> Metric:
    """One sample per column that has a value, labelled with the column's name."""
    metric = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for column in columns:
        if not pd.isna(numbers[column]):
            metric.add_metric([column], float(numbers[column]))
    return metric
