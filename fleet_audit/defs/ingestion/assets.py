"""Arrivals: the inbox's files and the API's pages, archived as received and recorded."""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from fleet_audit.closing.archive import archive_missing_closes
from fleet_audit.closing.archive_repair import restore_recent_manifests
from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.evaluations import Evaluated, partition_results
from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import PRELOADED, column_schema, key_of
from fleet_audit.ingest.api.page_fetcher import FetchedDay, PageFetcher, failure_sentence
from fleet_audit.ingest.api.pages import archived_pages
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.ingest.inbox.ingestion import ingest_inbox
from fleet_audit.ingest.incomplete.files import arrivals_digest
from fleet_audit.ingest.journal import FOLDER, backfill
from fleet_audit.ingest.staged_days import is_large_day
from fleet_audit.logic.primitives.window import DAYS_AFTER, days_with_context, window_days
from fleet_audit.logic.primitives.workers.pools import prepare_processes
from fleet_audit.schema.facts import INGESTED_FILES
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.output_metadata import markdown
from fleet_audit.storage.run_locks import run_lock
from fleet_audit.storage.step_errors import acts_on_errors

_COUNTED = ["file_name", "status", "rows_read", "rows_accepted", "rows_rejected", "rows_duplicate", "message"]
_BY_ITSELF = {"dagster/sensor_name", "dagster/schedule_name"}  # tags of runs that no person started
API_LOCK = "telemetry_api"  # FLEET_API_CONCURRENCY holds for the installation and not for each of two runs
RAW_POSITIONS = dg.AssetKey(["raw", "positions"])


@dg.asset(
    key=key_of(INGESTED_FILES),
    group_name=group_of("ingestion"),
    owners=owners_of("ingestion"),
    kinds={"file", "postgres"},
    description="Every file of the inbox, archived as received, parsed and recorded; the same bytes are read once.",
    metadata={"dagster/column_schema": column_schema(INGESTED_FILES)},
)
@acts_on_errors
def inbox_files(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.MaterializeResult:
    """Read the new files of the inbox."""
    closes = archive_missing_closes(fleet.lake(), fleet.warehouse())
    for sentence in [*closes, *restore_recent_manifests(fleet.lake(), fleet.warehouse())]:
        context.log.warning(sentence)
    if backfill(fleet.lake(), fleet.warehouse()):
        context.log.info(f"The archive's journal was written from PostgreSQL: {fleet.lake().url(FOLDER)}.")
    inbox = fleet.inbox()
    if inbox is None:
        _set_version(context, fleet)
        return dg.MaterializeResult(
            metadata={"note": "No inbox is set (FLEET_INBOX_URL): only what arrived before is used."}
        )
    summary = ingest_inbox(
        inbox,
        fleet.lake(),
        fleet.warehouse(),
        fleet.settings(),
        now=dt.datetime.now(dt.UTC),
        run_id=context.run.run_id,
        is_attended=not _BY_ITSELF & context.run.tags.keys(),
    )
    files = summary.files
    for row in files[files["status"].isin(("rejected", "partial"))].itertuples():
        context.log.warning(f"{row.file_name}: {row.message}")
    for sentence in summary.ignored:
        context.log.warning(sentence)
    _set_version(context, fleet)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(files),
            "new_files": _shown(files.head(50)[_COUNTED], "nothing new"),
            "refused_by_reason": _shown(summary.reasons.sort_values(["file_name", "reason_code"]), "nothing"),
            "reports_for_senders": _shown(_reports(files, fleet.lake()), "none"),
            "ignored": list(summary.ignored),
        }
    )


def _set_version(context: dg.AssetExecutionContext, fleet: FleetResource) -> None:
    """A run without arrivals outdates nothing."""
    context.set_data_version(key_of(INGESTED_FILES), dg.DataVersion(arrivals_digest(fleet.warehouse())))


def _reports(files: pd.DataFrame, lake: Lake) -> pd.DataFrame:
    """Address of the CSV of refused rows, per file that has any."""
    reported = files.dropna(subset="report_path")
    return reported[["file_name"]].assign(report=[lake.url(path) for path in reported["report_path"]])


def _shown(table: pd.DataFrame, otherwise: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(markdown(table) if len(table) else otherwise)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)  # partitions of a check are a preview in 1.13
    _API_ANSWERED = dg.AssetCheckSpec(
        "api_answered",
        asset=RAW_POSITIONS,
        partitions_def=daily_partitions,
        description="The telemetry API gave all that it was asked for.",
    )


@dg.asset(
    key=RAW_POSITIONS,
    group_name=group_of("ingestion"),
    owners=owners_of("ingestion"),
    kinds={"rest", "json"},
    partitions_def=daily_partitions,
    backfill_policy=daily_backfill,
    description="Pages of the telemetry API, as received, by day; the day after is read too: it holds the tail of "
    "night trips, and the days before again: positions arrive up to FLEET_LATE_HOURS late.",
    check_specs=[_API_ANSWERED],
)
@acts_on_errors
def raw_positions(
    context: dg.AssetExecutionContext, fleet: FleetResource
) -> Iterator[dg.MaterializeResult | Evaluated]:
    """Request positions from the API; when it fails, the check names the days, and files are still processed."""
    api, days = fleet.api(), run_days(context)
    if api is None:
        yield dg.MaterializeResult(
            metadata={"note": "No telemetry API is set (FLEET_API_URL): positions come from files only."}
        )
        yield from partition_results(context, _API_ANSWERED, {day.isoformat(): [] for day in days})
        return
    now = dt.datetime.now(dt.UTC)
    asked = _days_to_ask(context, fleet)
    _prepare_staging(fleet, asked)
    fetcher = PageFetcher(api, fleet.lake(), fleet.warehouse(), context.run.run_id, fleet.settings().api_concurrency)
    with run_lock(fleet.warehouse().url, [API_LOCK], lambda: context.log.info("Waiting: another run asks the API.")):
        fetched = fetcher.fetch_days(asked, now)
    for sentence in (*fetcher.set_aside, *fetcher.warnings):
        context.log.warning(sentence)
    failure = failure_sentence(fetched)
    if failure:
        context.log.error(failure)
    _add_day_numbers(context, fleet, fetched)
    asked_days = ", ".join(day.day.isoformat() for day in fetched)
    yield dg.MaterializeResult(
        metadata={"asked_days": asked_days, "set_aside": list(fetcher.set_aside), "warnings": fetcher.warnings}
    )
    yield from partition_results(context, _API_ANSWERED, _unanswered(days, fetched))


def _prepare_staging(fleet: FleetResource, days: Sequence[dt.date]) -> None:
    """Let the processes that will stage the days of a large fleet get ready while the API is asked."""
    lake, processes = fleet.lake(), fleet.settings().day_processes
    if processes > 1 and any(is_large_day(archived_pages(lake, day)) for day in days):
        prepare_processes(PRELOADED)


def _add_day_numbers(context: dg.AssetExecutionContext, fleet: FleetResource, fetched: Sequence[FetchedDay]) -> None:
    """Pages and rows of each day of the run, and the hours of its window that were not answered."""
    by_day = {one.day: one for one in fetched}
    days = run_days(context)
    gaps = api_gaps(fleet.warehouse(), window_days(days[0])[0], window_days(days[-1])[-1])
    for day in days:
        of_window = gaps[gaps["operational_date"].isin(window_days(day))]
        hours = (of_window["ended_at"] - of_window["started_at"]).dt.total_seconds().sum() / 3600
        one = by_day.get(day, FetchedDay(day))
        context.add_asset_metadata(
            {
                "dagster/row_count": one.rows,
                "pages": one.pages,
                "unanswered_h": float(hours),
                "unanswered": _shown(of_window, "nothing"),
            },
            partition_key=day.isoformat(),
        )


def _unanswered(days: Sequence[dt.date], fetched: Sequence[FetchedDay]) -> dict[str, list[str]]:
    """Per day of the run the failure of those asked days that its window reads.

    Days before every window are asked for late positions only: they belong to the first day of the run.
    """
    found = {}
    for day in days:
        window = set(window_days(day))
        of_day = [one for one in fetched if one.day in window or (day == days[0] and one.day < min(window))]
        sentence = failure_sentence(of_day)
        found[day.isoformat()] = [sentence] if sentence else []
    return found


def _days_to_ask(context: dg.AssetExecutionContext, fleet: FleetResource) -> list[dt.date]:
    """The run's days with the tail after, the late ones before, and what their windows need and was not answered."""
    days, lake = run_days(context), fleet.lake()
    late = -(-fleet.settings().late_hours // 24)
    asked = {day + dt.timedelta(days=offset) for day in days for offset in range(-late, DAYS_AFTER + 1)}
    context_days = {*days_with_context(days)} - asked
    unanswered = set(api_gaps(fleet.warehouse(), min(asked | context_days), max(days))["operational_date"])
    return sorted(asked | {day for day in context_days if day in unanswered or not archived_pages(lake, day)})
