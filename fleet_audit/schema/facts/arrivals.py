"""Files, requests and windows of the API, and hours of positions: what arrived, what was refused, what is missing.

Contents are in the lake.
"""

from __future__ import annotations

from fleet_audit.schema.facts.columns import TRACE
from fleet_audit.schema.model import Table, date, flag, instant, integer, percent, text

FILE_STATUSES = ("accepted", "partial", "rejected", "duplicate")
FILE_KINDS = ("reference", "visit_report", "bulletin", "telemetry")
INGESTED_FILES = Table(
    "ops",
    "ingested_files",
    "Every file that arrived, one row per name and content",
    (
        text("file_sha256", "SHA-256 of the bytes; empty where they could not be read"),
        text("file_name", "Path inside the inbox"),
        text("kind", "What it is", values=FILE_KINDS),
        integer("size_bytes", "Size", unit="bytes"),
        instant("received_at", "First seen"),
        text("status", "How it ended", values=FILE_STATUSES),
        integer("rows_read", "Data rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
        text("message", "One sentence; what to do when it was not accepted", nullable=True),
        date("first_date", "First local day that its rows touch", nullable=True),
        date("last_date", "Last local day that its rows touch", nullable=True),
        text("archive_path", "Where its bytes are, inside the lake", nullable=True),
        text("run_id", "Run that read it", nullable=True),
        text("reason_code", "Stable code of why it was refused whole (docs/reasons.md)", nullable=True),
        text("report_path", "CSV of its rejected rows for the sender, path inside the lake", nullable=True),
        text(
            "stamp",
            "Size and times under which it was last listed: a file that keeps them is not opened again",
            nullable=True,
        ),
        flag(
            "has_lost_rows",
            "Whether its rows do not add up, as a whole or over its days; empty when it was not parsed",
            nullable=True,
        ),
    ),
    key=("file_sha256", "file_name"),
    indexes=(("kind", "last_date"), ("kind", "file_name", "received_at"), ("file_name", "stamp"), ("received_at",)),
    partial_indexes=(("status", "status = 'rejected'"), ("has_lost_rows", "has_lost_rows")),
)

FILE_DAYS = Table(
    "ops",
    "file_days",
    "A file's rows by local day; a row whose day is illegible counts on the day of the row before it",
    (
        text("file_sha256", "SHA-256 of the bytes"),
        text("file_name", "Path inside the inbox"),
        date("date", "Local day"),
        integer("rows_read", "Data rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
    ),
    key=("file_sha256", "file_name", "date"),
    indexes=(("date",),),
)

DAY_ACCEPTANCE = Table(
    "ops",
    "day_acceptance",
    "Share of a day's rows that was accepted, from the newest version of each file and from the API",
    (
        date("operational_date", "Local day (partition)"),
        text("source_kind", "What the rows came by", values=(*FILE_KINDS[1:], "api")),
        integer("rows_read", "Rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates; they do not lower the acceptance"),
        percent("acceptance_pct", "Accepted of accepted and rejected; empty when there are neither", nullable=True),
        flag("is_low", "Below day_acceptance_pct: what the day shows is incomplete"),
        *TRACE,
    ),
    key=("operational_date", "source_kind"),
    partition="operational_date",
)

PENDING_DEVICES = Table(
    "ops",
    "pending_devices",
    "Positions that wait until reference/devices assigns their device to a vehicle on that day",
    (
        date("operational_date", "Day of America/Sao_Paulo (partition)"),
        text("device_id", "Device"),
        integer("positions", "Positions that wait", minimum=1),
        instant("first_at", "First of them"),
        instant("last_at", "Last of them"),
        *TRACE,
    ),
    key=("operational_date", "device_id"),
    partition="operational_date",
)

INBOX_REQUESTS = Table(
    "ops",
    "inbox_requests",
    "The inbox sensor's memory: each file as it was when its days were last asked for",
    (
        text("file_name", "Path inside the inbox"),
        text("stamp", "Size and times: other ones mean that the file changed"),
        date("first_date", "First day asked for; empty when no day was", nullable=True),
        date("last_date", "Last day asked for", nullable=True),
        instant("requested_at", "When"),
    ),
    key=("file_name",),
)

INBOX_SIGHTINGS = Table(
    "ops",
    "inbox_sightings",
    "The stamp under which each file of the inbox was last listed: a file that keeps it until the next look is whole",
    (
        text("file_name", "Path inside the inbox"),
        text("stamp", "Size and times"),
        instant("first_seen_at", "First look that listed the file with this stamp"),
    ),
    key=("file_name",),
)

INCOMPLETE_DAYS = Table(
    "ops",
    "incomplete_days",
    "Days of which a source failed on our side: what would rest on it is not tested, and no finding on a carrier",
    (
        date("operational_date", "Local day (partition)"),
        text("source", "Source that is missing or incomplete", values=(*FILE_KINDS[1:], "api")),
        text("carrier_code", "Carrier that it concerns; empty: all"),
        text("file_name", "File that was refused; empty: no file"),
        text("reason_pt", "One sentence for the reports"),
        *TRACE,
        text("plates", "Vehicles that it concerns, by commas; null: all", nullable=True),
    ),
    key=("operational_date", "source", "carrier_code", "file_name"),
    partition="operational_date",
)

REJECTED_ROWS = Table(
    "ops",
    "rejected_rows",
    "Rows in quarantine, as received",
    (
        text("file_sha256", "File or page"),
        integer("row_number", "Row"),
        text("reason_code", "Stable code"),
        text("source_kind", "Kind of the source"),
        text("file_name", "Its name", nullable=True),
        text("reason", "One sentence: what is wrong and what to do"),
        text("raw", "The row as received"),
        text("run_id", "Run", nullable=True),
    ),
    key=("file_sha256", "row_number", "reason_code"),
)

STAGE_COUNTS = Table(
    "ops",
    "stage_counts",
    "Rows in and out of each stage, per partition: they reconcile",
    (
        date("partition_date", "Day"),
        text("stage", "Stage"),
        text("source", "Source within the stage"),
        integer("rows_read", "Read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
        text("run_id", "Run"),
        instant("updated_at", "When"),
    ),
    key=("partition_date", "stage", "source"),
    partition="partition_date",
)

API_REQUESTS = Table(
    "ops",
    "api_requests",
    "Pages of the telemetry API as they were asked for and archived, and windows that failed",
    (
        text("request_id", "Hash of window, page and what was answered: the same answer again is the same row"),
        date("partition_date", "Day of America/Sao_Paulo that the window lies in"),
        instant("window_from", "First instant asked for"),
        instant("window_to", "End of the window, exclusive"),
        integer("page_number", "Page within the window, from 1", minimum=0),
        integer("window_attempt", "1, and one more each time that the cursor expired", minimum=1),
        integer("status", "HTTP status of the last answer; null when there was none", nullable=True),
        integer("tries", "Requests that this page took", minimum=0),
        integer("latency_ms", "From the last request to the whole answer", unit="ms", nullable=True, minimum=0),
        integer("rows_read", "Items of the page", minimum=0),
        integer("size_bytes", "Size of the answer as received", unit="bytes", nullable=True, minimum=0),
        text("body_sha256", "SHA-256 of the answer", nullable=True),
        text("archive_path", "Where its bytes are, inside the lake", nullable=True),
        text("server_request_id", "X-Request-Id of the answer, to ask the vendor by", nullable=True),
        text("message", "Why the window failed, in one sentence", nullable=True),
        instant("answered_at", "When the answer was there"),
        text("run_id", "Run that asked"),
    ),
    key=("request_id",),
    sort=("partition_date", "window_from", "page_number", "request_id"),
    indexes=(("partition_date",),),
)

API_WINDOWS = Table(
    "ops",
    "api_windows",
    "Quarters of a day that the telemetry API was asked for, and until when each was answered in full",
    (
        date("partition_date", "Day of America/Sao_Paulo that the window lies in"),
        instant("window_from", "Start of the window"),
        instant("window_to", "End of the window, exclusive, also when it is in the future"),
        instant("answered_to", "Positions before this instant were received in full; null: none were", nullable=True),
        instant("answered_at", "When the last complete answer was received", nullable=True),
        instant("failed_at", "When the API was last asked without a complete answer; null after one", nullable=True),
        text("message", "Why the last request has no complete answer, in one sentence", nullable=True),
        text("run_id", "Run that asked last"),
    ),
    key=("partition_date", "window_from"),
)

POSITION_HOURS = Table(
    "ops",
    "position_hours",
    "What staging holds of each hour: which days were computed before something in their window changed",
    (
        instant("hour_at", "Begin of the hour"),
        date("partition_date", "Day of America/Sao_Paulo"),
        integer("rows_accepted", "Positions", minimum=0),
        text("digest", "Of all facts of the hour's positions, whatever their order and origin"),
        instant("changed_at", "When it became this"),
        text("run_id", "Run that changed it"),
    ),
    key=("hour_at",),
    indexes=(("partition_date",), ("changed_at",)),
)

DAY_DIGESTS = Table(
    "ops",
    "day_digests",
    "What a computation of a day was last made of and what came of it: a day that differs in neither is not computed "
    "again",
    (
        date("partition_date", "Day of America/Sao_Paulo"),
        text("inputs_digest", "Of everything that the computation reads of the day, and of the code"),
        text("content_digest", "Of what it wrote of the day"),
        text("run_id", "Run that computed it"),
        instant("updated_at", "When"),
        text("computation", "`staging/positions`, `parsed/api_pages`, `trips/windows` or `devices/days`"),
    ),
    key=("computation", "partition_date"),
)
