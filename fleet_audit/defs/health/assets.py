"""Retention as assets: Dagster's history, staging, and archived pages of the API, each with a dry run; the journal.

Which files and events are old enough is decided in `ingest.retention` and `storage.dagster_history`, what of the
archive's journal is damaged in `ingest.journal_repair` and `closing.archive_repair`.
"""

import datetime as dt
from typing import Any

import dagster as dg
from pydantic import Field

from fleet_audit.closing.archive_repair import repair_archived_closes
from fleet_audit.defs.automation import local_schedule
from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import TRIGGER_TAG
from fleet_audit.ingest.incomplete.files import recount_lost_rows
from fleet_audit.ingest.journal import FOLDER
from fleet_audit.ingest.journal_repair import repair_journal
from fleet_audit.ingest.retention import Expired, expired_pages, expired_staging, months_before, remove, remove_pages
from fleet_audit.schema.partition import partition_day
from fleet_audit.storage.step_errors import acts_on_errors

_DRY_RUN = "true: only report what would be removed. false: remove it; nothing brings it back but a backup."
_ARGUMENTS: dict[str, Any] = {"group_name": group_of("health"), "owners": owners_of("health"), "kinds": {"python"}}


class HistoryConfig(dg.Config):
    """How long Dagster's history is kept."""

    dry_run: bool = Field(default=True, description=_DRY_RUN)
    log_days: int = Field(
        default=90, ge=60, description="Days after a run's end for which its log is kept; recovery reads 40 days back."
    )
    event_months: int = Field(
        default=24, ge=6, description="Months for which superseded materializations are kept; the newest always is."
    )


class StagingConfig(dg.Config):
    """How long staging is kept."""

    dry_run: bool = Field(default=True, description=_DRY_RUN)
    months: int = Field(default=6, ge=3, description="Months after the day, and after its cycle's final close.")


class PagesConfig(dg.Config):
    """How long archived pages of the telemetry API are kept."""

    dry_run: bool = Field(default=True, description=_DRY_RUN)
    months: int = Field(default=24, ge=24, description="Months after the day, and after its cycle's final close.")


@dg.asset(
    key=["retention", "dagster_history"],
    description="Logs of runs that ended more than 90 days ago, and superseded asset events of more than 24 months. "
    "Runs, and the newest event of each partition, stay. A dry run unless the launchpad says otherwise.",
    **_ARGUMENTS,
)
@acts_on_errors
def dagster_history(context: dg.AssetExecutionContext, config: HistoryConfig) -> dg.MaterializeResult:
    """Trim the instance that this run belongs to."""
    from fleet_audit.storage.dagster_history import history_bytes, trim_history  # imports Alembic, 0.2 s

    now = dt.datetime.now(dt.UTC)
    events_before = dt.datetime.combine(months_before(now.date(), config.event_months), dt.time(), dt.UTC)
    logs_before = now - dt.timedelta(days=config.log_days)
    before = history_bytes(context.instance)
    trimmed = trim_history(context.instance, logs_before, events_before, is_dry_run=config.dry_run)
    return dg.MaterializeResult(
        metadata={
            "is_dry_run": config.dry_run,
            "runs": trimmed.runs,
            "log_events": trimmed.log_events,
            "asset_events": trimmed.asset_events,
            "size_before_bytes": before,
            "size_bytes": history_bytes(context.instance),
        }
    )


@dg.asset(
    key=["retention", "staging"],
    description="Staging and legs of days older than 6 months whose cycle was closed for good as long ago; a run of "
    "the day computes them again from raw/. A dry run unless the launchpad says otherwise.",
    **_ARGUMENTS,
)
@acts_on_errors
def staging_days(config: StagingConfig, fleet: FleetResource) -> dg.MaterializeResult:
    """Remove staging of old days."""
    lake = fleet.lake()
    found = expired_staging(lake, fleet.warehouse(), _limit(config.months), fleet.settings().closing_day)
    if not config.dry_run:
        remove(lake, found)
    return _result(found, is_dry_run=config.dry_run)


@dg.asset(
    key=["retention", "api_pages"],
    description="Archived pages of the telemetry API of days older than 24 months whose cycle was closed for good as "
    "long ago. Files of the inbox are kept for good. A dry run unless the launchpad says otherwise: no schedule "
    "removes pages.",
    **_ARGUMENTS,
)
@acts_on_errors
def api_pages(config: PagesConfig, fleet: FleetResource) -> dg.MaterializeResult:
    """Remove archived pages of old days."""
    lake, warehouse = fleet.lake(), fleet.warehouse()
    found = expired_pages(lake, warehouse, _limit(config.months), fleet.settings().closing_day)
    if not config.dry_run:
        remove_pages(lake, warehouse, found)
    return _result(found, is_dry_run=config.dry_run)


@dg.asset(
    key=["retention", "journal"],
    description="Reads every entry of the archive's journal and of its closes: what is damaged is moved to quarantine/ "
    "and written again from PostgreSQL, as is what is lost. Compares each file with the rows of its days. Nothing is "
    "removed.",
    **_ARGUMENTS,
)
@acts_on_errors
def journal_entries(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.MaterializeResult:
    """Repair the journal, which alone can fill an empty warehouse, and name the files with lost rows."""
    lake, warehouse = fleet.lake(), fleet.warehouse()
    sentences = [*repair_journal(lake, warehouse), *repair_archived_closes(lake, warehouse)]
    lost = recount_lost_rows(warehouse)
    for sentence in [*sentences, *lost]:
        context.log.warning(sentence)
    entries = len(lake.list(FOLDER))
    return dg.MaterializeResult(metadata={"entries": entries, "repaired": sentences, "files_with_lost_rows": lost})


def _limit(months: int) -> dt.date:
    return months_before(partition_day(dt.datetime.now(dt.UTC)), months)


def _result(found: Expired, *, is_dry_run: bool) -> dg.MaterializeResult:
    removed = {"first_day": str(found.days[0]), "last_day": str(found.days[-1])} if found.days else {}
    return dg.MaterializeResult(
        metadata={
            "is_dry_run": is_dry_run,
            "files": len(found.files),
            "days": len(found.days),
            "days_kept_for_a_close": len(found.kept_days),
            "removable_bytes": found.bytes,
            "size_bytes": found.total_bytes - (0 if is_dry_run else found.bytes),
            **removed,
        }
    )


retention_job = dg.define_asset_job(
    "retention",
    selection=dg.AssetSelection.key_prefixes("retention"),
    executor_def=dg.in_process_executor,
    description="Removes what is older than its limit, as each asset's launchpad says; repairs the archive's journal.",
)


@local_schedule(
    job=retention_job,
    cron_schedule="0 13 * * 0",
    description="Sunday 13:00: removes old logs of Dagster and old staging, reports old pages of the API, and "
    "repairs the archive's journal.",
)
def weekly_retention() -> dg.RunRequest:
    """Remove what can be computed again; archived pages are only reported."""
    removes = {"config": {"dry_run": False}}
    return dg.RunRequest(
        run_config={"ops": {"retention__dagster_history": removes, "retention__staging": removes}},
        tags={TRIGGER_TAG: "schedule"},
    )
