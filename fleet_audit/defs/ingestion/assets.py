"""Arrivals: the inbox's files and the API's pages, archived as received and recorded."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import pandas as pd

from fleet_audit.closing.archive import archive_missing_closes
from fleet_audit.defs.partitions import daily_partitions, run_days, single_run
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.table_checks import RECONCILES, check_result
from fleet_audit.defs.tables import OWNERS, column_schema, key_of
from fleet_audit.ingest.api.page_fetcher import PageFetcher, failure_sentence
from fleet_audit.ingest.api.pages import archived_pages
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.ingest.files import lost_rows
from fleet_audit.ingest.inbox.ingestion import ingest_inbox
from fleet_audit.ingest.journal import FOLDER, backfill
from fleet_audit.logic.primitives.window import DAYS_AFTER, days_with_context
from fleet_audit.schema.facts import INGESTED_FILES
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.output_metadata import markdown
from fleet_audit.storage.step_errors import acts_on_errors

_COUNTED = ["file_name", "status", "rows_read", "rows_accepted", "rows_rejected", "rows_duplicate", "message"]
_BY_ITSELF = {"dagster/sensor_name", "dagster/schedule_name"}  # tags of runs that no person started
RAW_POSITIONS = dg.AssetKey(["raw", "positions"])


@dg.asset(
    key=key_of(INGESTED_FILES),
    group_name="ingestion",
    owners=OWNERS,
    kinds={"file", "postgres"},
    description="Every file of the inbox, archived as received, parsed and recorded; the same bytes are read once.",
    metadata={"dagster/column_schema": column_schema(INGESTED_FILES)},
    check_specs=[
        dg.AssetCheckSpec(
            "no_file_was_refused",
            asset=key_of(INGESTED_FILES),
            description="Files refused whole, with the reason and what to do.",
        ),
        dg.AssetCheckSpec(
            RECONCILES,
            asset=key_of(INGESTED_FILES),
            blocking=True,
            description="Of every file: rows read = accepted + rejected + duplicate, also summed over its days.",
        ),
    ],
)
@acts_on_errors
def inbox_files(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.MaterializeResult]:
    """Read the new files of the inbox."""
    for sentence in archive_missing_closes(fleet.lake(), fleet.warehouse()):
        context.log.warning(sentence)
    if backfill(fleet.lake(), fleet.warehouse()):
        context.log.info(f"The archive's journal was written from PostgreSQL: {fleet.lake().url(FOLDER)}.")
    inbox = fleet.inbox()
    if inbox is None:
        yield dg.MaterializeResult(
            metadata={"note": "No inbox is set (FLEET_INBOX_URL): only what arrived before is used."},
            check_results=[
                dg.AssetCheckResult(check_name="no_file_was_refused", passed=True),
                check_result(INGESTED_FILES, RECONCILES, lost_rows(fleet.warehouse())),
            ],
        )
        return
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
    refused = files[files["status"] == "rejected"]
    for row in files[files["status"].isin(("rejected", "partial"))].itertuples():
        context.log.warning(f"{row.file_name}: {row.message}")
    for sentence in summary.ignored:
        context.log.warning(sentence)
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(files),
            "new_files": _shown(files.head(50)[_COUNTED], "nothing new"),
            "refused_by_reason": _shown(summary.reasons.sort_values(["file_name", "reason_code"]), "nothing"),
            "reports_for_senders": _shown(_reports(files, fleet.lake()), "none"),
            "ignored": list(summary.ignored),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="no_file_was_refused",
                passed=refused.empty,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={row.file_name: str(row.message) for row in refused.itertuples()},
            ),
            check_result(INGESTED_FILES, RECONCILES, lost_rows(fleet.warehouse())),
        ],
    )


def _reports(files: pd.DataFrame, lake: Lake) -> pd.DataFrame:
    """Address of the CSV of refused rows, per file that has any."""
    reported = files.dropna(subset="report_path")
    return reported[["file_name"]].assign(report=[lake.url(path) for path in reported["report_path"]])


def _shown(table: pd.DataFrame, otherwise: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(markdown(table) if len(table) else otherwise)


@dg.asset(
    key=RAW_POSITIONS,
    group_name="ingestion",
    owners=OWNERS,
    kinds={"rest", "json"},
    partitions_def=daily_partitions,
    backfill_policy=single_run,
    description="Pages of the telemetry API, as received, by day; the day after is read too: it holds the tail of "
    "night trips, and the days before again: positions arrive up to FLEET_LATE_HOURS late.",
    check_specs=[
        dg.AssetCheckSpec(
            "api_answered",
            asset=RAW_POSITIONS,
            partitions_def=daily_partitions,
            description="The telemetry API gave all it was asked for.",
        )
    ],
)
@acts_on_errors
def raw_positions(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.MaterializeResult]:
    """Request positions from the API; when it fails, the check names the days, and files are still processed."""
    api = fleet.api()
    if api is None:
        yield dg.MaterializeResult(
            metadata={"note": "No telemetry API is set (FLEET_API_URL): positions come from files only."},
            check_results=[dg.AssetCheckResult(check_name="api_answered", passed=True)],
        )
        return
    now = dt.datetime.now(dt.UTC)
    fetcher = PageFetcher(api, fleet.lake(), fleet.warehouse(), context.run.run_id, fleet.settings().api_concurrency)
    fetched = fetcher.fetch_days(_days_to_ask(context, fleet), now)
    for sentence in fetcher.set_aside:
        context.log.warning(sentence)
    failure = failure_sentence(fetched)
    if failure:
        context.log.error(failure)
    first, last = min(run_days(context)), max(run_days(context)) + dt.timedelta(days=DAYS_AFTER)
    gaps = api_gaps(fleet.warehouse(), first, last)
    yield dg.MaterializeResult(
        metadata={
            "pages": sum(day.pages for day in fetched),
            "dagster/row_count": sum(day.rows for day in fetched),
            "days": [day.day.isoformat() for day in fetched],
            "unanswered": _shown(gaps, "nothing"),
            "set_aside": list(fetcher.set_aside),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="api_answered", passed=not failure, metadata={"error": failure} if failure else {}
            )
        ],
    )


def _days_to_ask(context: dg.AssetExecutionContext, fleet: FleetResource) -> list[dt.date]:
    """The run's days with the tail after, the late ones before, and what their windows need and was not answered."""
    days, lake = run_days(context), fleet.lake()
    late = -(-fleet.settings().late_hours // 24)
    asked = {day + dt.timedelta(days=offset) for day in days for offset in range(-late, DAYS_AFTER + 1)}
    context_days = {*days_with_context(days)} - asked
    unanswered = set(api_gaps(fleet.warehouse(), min(asked | context_days), max(days))["operational_date"])
    return sorted(asked | {day for day in context_days if day in unanswered or not archived_pages(lake, day)})
