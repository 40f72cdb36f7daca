"""Health of the last days: which failed or are missing, with the cure, and whose volumes are unusual.

Freshness policies look at an asset, not at its partitions: a day that failed a week ago is shown here alone. Which days
are run again by themselves is decided in `recovery`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from pydantic import Field

from fleet_audit.defs.automation import known_days, local_schedule
from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.evaluations import check_result
from fleet_audit.defs.recovery import RECOVERY_DAYS, REPORT, days_with_status
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import TRIGGER_TAG, first_names
from fleet_audit.defs.tables import key_of
from fleet_audit.ingest.inbox.file_days import spans_of
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.primitives.volumes import Limits, UnusualVolume, unusual_volumes
from fleet_audit.schema.model import Table
from fleet_audit.schema.partition import partition_day
from fleet_audit.schema.registry import TABLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.warehouse import Warehouse

HEALTH = dg.AssetKey(["health", "days"])
_SHOWN_ASSETS = 3
_DAYS_OK = dg.AssetCheckSpec(
    "no_day_failed_or_is_missing",
    asset=HEALTH,
    description=f"No table of the last {RECOVERY_DAYS} days failed, and no day since the first that was computed or "
    "failed is missing.",
)
_VOLUMES_OK = dg.AssetCheckSpec(
    "volumes_are_usual",
    asset=HEALTH,
    description="Rows accepted from each source, and trips, are about as many as on the same weekdays before.",
)
_NUMBERS = """
select source as source, partition_date as day, cast(rows_accepted as double precision) as number
from ops.stage_counts where stage = 'staging' and partition_date between :first and :last
union all
select 'trips', operational_date, cast(count(*) as double precision)
from fact.trips where operational_date between :first and :last group by operational_date
"""
_HOLIDAYS = "select distinct date as day from ref.calendar where day_type = 'feriado' and date between :first and :last"


class DaysConfig(dg.Config):
    """What is looked at, and when a volume is unusual."""

    volume_days: int = Field(default=7, ge=1, le=RECOVERY_DAYS, description="Last days whose volumes are judged.")
    low_pct: float = Field(default=50, ge=0, description="Unusual below this share of the same weekdays' median.")
    high_pct: float = Field(default=200, ge=100, description="Unusual above this share of it.")
    weeks: int = Field(
        default=8, ge=3, description="Weeks before a day that are compared; with fewer than 3 known days none."
    )


@dg.asset(
    key=HEALTH,
    group_name=group_of("health"),
    owners=owners_of("health"),
    kinds={"python"},
    check_specs=[_DAYS_OK, _VOLUMES_OK],
    description=f"The last {RECOVERY_DAYS} days: failed and missing ones with the cure, and volumes that differ from "
    "the same weekdays before. Made every morning after 08:00; can be run at any time.",
)
@acts_on_errors
def health_days(
    context: dg.AssetExecutionContext, config: DaysConfig, fleet: FleetResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Judge the days until yesterday."""
    last = partition_day(dt.datetime.now(dt.UTC)) - ONE_DAY
    failed, missing = failed_tables(context.instance, last), missing_days(context.instance, last)
    volumes = _volumes(fleet.warehouse(), last, config)
    sentences = [*day_sentences(failed), *(_missing_sentence(*span) for span in spans_of(missing))]
    unusual = [_volume_sentence(one) for one in volumes]
    yield dg.MaterializeResult(
        asset_key=HEALTH,
        metadata={
            "failed_days": len(failed),
            "missing_days": len(missing),
            "unusual_volumes": len(volumes),
            "last_day": str(last),
        },
    )
    yield check_result(_DAYS_OK, sentences, dg.AssetCheckSeverity.WARN)
    yield check_result(_VOLUMES_OK, unusual, dg.AssetCheckSeverity.WARN)


def failed_tables(instance: dg.DagsterInstance, last: dt.date) -> dict[dt.date, list[str]]:
    """Tables and reports whose newest attempt failed, per day of the last 40."""
    found: dict[dt.date, list[str]] = {}
    for key in _daily_keys(instance):
        for day in days_with_status(instance, key, last, {"FAILED"}):
            found.setdefault(day, []).append(key.to_user_string())
    return dict(sorted(found.items()))


def missing_days(instance: dg.DagsterInstance, last: dt.date) -> list[dt.date]:
    """Days without a D-1 report after the first of the last 40 that was computed or failed; not those that failed."""
    attempted = days_with_status(instance, REPORT, last, {"MATERIALIZED", "FAILED"})
    return [day for day in known_days(min(attempted), last) if day not in attempted] if attempted else []


def day_sentences(failed: Mapping[dt.date, Sequence[str]]) -> list[str]:
    """One sentence per failed day: what failed, and what to do."""
    return [
        f"{day}: {first_names(names, _SHOWN_ASSETS)} failed. The newest run with the tag fleet/days that covers {day} "
        "has the reason. Once that is gone, run job day for the day; what lost its process, a store or the API is run "
        "again by the sensor unfinished_days."
        for day, names in failed.items()
    ]


def _missing_sentence(first: dt.date, last: dt.date) -> str:
    days = " to ".join(dict.fromkeys((str(first), str(last))))
    command = f"fleet-audit run --from {first} --to {last}"
    return f"{days}: never computed. Run job day for it (Jobs, day, Materialize), or {command}."


def _volume_sentence(one: UnusualVolume) -> str:
    return (
        f"{one.day}: {one.source} has {one.number:,.0f} rows, usual on the same weekday are {one.usual:,.0f}. Did the "
        "source send everything? A file that arrives later runs the day again."
    )


def _daily_keys(instance: dg.DagsterInstance) -> list[dg.AssetKey]:
    """Assets with a partition per day that this installation has ever computed or tried."""
    known = set(instance.get_asset_keys())
    tables = [key_of(table) for table in TABLES.values() if _is_daily(table)]
    return [key for key in (*tables, REPORT) if key in known]


def _is_daily(table: Table) -> bool:
    return table.partition is not None and table.partition != "cycle_start"


def _volumes(warehouse: Warehouse, last: dt.date, config: DaysConfig) -> list[UnusualVolume]:
    first = last - (config.volume_days - 1) * ONE_DAY
    span = {"first": first - dt.timedelta(weeks=config.weeks), "last": last}
    numbers: dict[str, dict[dt.date, float]] = {}
    for row in warehouse.read(_NUMBERS, span).itertuples():
        numbers.setdefault(row.source, {})[row.day] = row.number
    holidays = set(warehouse.read(_HOLIDAYS, span)["day"])
    limits = Limits(config.low_pct, config.high_pct, config.weeks)
    return unusual_volumes(numbers, known_days(first, last), holidays, limits)


health_job = dg.define_asset_job(
    "health",
    selection=dg.AssetSelection.assets(HEALTH),
    executor_def=dg.in_process_executor,
    description="Looks at the last 40 days: failed and missing ones, and unusual volumes.",
)


@local_schedule(
    job=health_job,
    cron_schedule="5 8 * * *",
    description="08:05: looks at the last 40 days, when the D-1 report is due.",
)
def daily_health() -> dg.RunRequest:
    """Look at the last days."""
    return dg.RunRequest(tags={TRIGGER_TAG: "schedule"})
