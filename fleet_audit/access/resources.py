"""What the read API serves: one entry per resource, with its relation, order and filters.

Columns come from the database, whose comments are the dictionary's and schema.yml's descriptions: the document, the
columns and their units have one source. How a page is read is in `pages`, HTTP in `app`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from fleet_audit.schema.rights import PROFILES, readable_columns

# a redacting view has the descriptions of the table of its name; the login role may not resolve names of a schema
_COLUMNS = """
select n.nspname || '.' || c.relname as relation, a.attname as name, format_type(a.atttypid, null) as type,
  case when a.atttypid = 'numeric'::regtype and a.atttypmod > 4 then ((a.atttypmod - 4) >> 16) & 65535 end as precision,
  case when a.atttypid = 'numeric'::regtype and a.atttypmod > 4 then (a.atttypmod - 4) & 65535 end as scale,
  c.relkind = 'v' and n.nspname = 'mart' as is_view,
  coalesce(col_description(c.oid, a.attnum), col_description(fact.oid, f.attnum), '') as description
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join (values ('attachments', 'contest_files'), ('notes', 'finding_notes'),
  ('requested_exceptions', 'exceptions'), ('received_uploads', 'uploads')) described(view_name, table_name)
  on described.view_name = c.relname
left join pg_class fact on fact.relkind = 'r' and fact.relname = any(array[c.relname::text, described.table_name])
  and fact.relnamespace = any(array(select oid from pg_namespace where nspname in ('fact', 'auth')))
left join pg_attribute f on f.attrelid = fact.oid and f.attname = a.attname
where n.nspname || '.' || c.relname = any(:relations) order by c.oid, a.attnum"""
_FILTERS = frozenset(
    (
        *("unit_code", "carrier_code", "plate", "device_id", "trip_id", "declared_run_id", "contract_id", "route_code"),
        *("area", "purpose", "kind", "status", "cost_status", "line_status", "shift_code", "rule_id", "severity"),
        *("source", "evidence_grade", "cycle_start", "reason_code", "file_sha256", "vehicle_class", "cost_center"),
        *("finding_id", "contest_id", "action", "actor", "subject", "login", "profile", "uploaded_by"),
    )
)


@dataclass(frozen=True)
class Column:
    """A column as the database describes it; `type` is PostgreSQL's, precision and scale are those of a numeric."""

    name: str
    type: str
    description: str
    precision: int | None = None
    scale: int = 0


@dataclass(frozen=True)
class Resource:
    """One list of rows. `order` is a unique key, whose first column is filtered by day if it is a date."""

    name: str
    relation: str
    order: tuple[str, ...]
    summary: str
    item: str | None = None
    columns: tuple[Column, ...] = ()
    is_view: bool = False  # a view of a mart is granted whole, a table column by column

    @property
    def schema(self) -> str:
        """The relation's schema."""
        return self.relation.split(".")[0]

    @property
    def table(self) -> str:
        """The relation's name."""
        return self.relation.split(".")[1]

    @property
    def day(self) -> str | None:
        """The column by which rows are filtered by day, None without one."""
        names = [column.name for column in self.columns if column.type == "date"]
        return next((name for name in (*self.order, "operational_date") if name in names), None)

    @property
    def filters(self) -> tuple[Column, ...]:
        """The columns that a request may compare with a value."""
        return tuple(one for one in self.columns if one.name in _FILTERS and one.name != self.day)


_DAY = "operational_date"
RESOURCES = (
    Resource("days", "mart.vehicle_days", (_DAY, "vehicle_day_id"), "Vehicle days", "vehicle_day_id"),
    Resource("trips", "fact.trips", (_DAY, "trip_id"), "Trips as measured", "trip_id"),
    Resource("trip-list", "mart.d1_trips", (_DAY, "trip_id"), "The D-1 trip list", "trip_id"),
    Resource("costs", "fact.trip_costs", (_DAY, "trip_id"), "What each trip costs, and why", "trip_id"),
    Resource("scores", "fact.trip_scores", (_DAY, "trip_id"), "Compliance scores of trips", "trip_id"),
    Resource("ledger", "fact.km_ledger", (_DAY, "plate"), "Kilometres of each vehicle day"),
    Resource("coverage", "fact.vehicle_day_coverage", (_DAY, "plate"), "What was observed of a vehicle day"),
    Resource("declared-runs", "fact.declared_runs", (_DAY, "declared_run_id"), "Declared runs", "declared_run_id"),
    Resource("matches", "fact.matches", (_DAY, "match_id"), "Declared beside measured", "match_id"),
    Resource("held-runs", "fact.held_runs", (_DAY, "declared_run_id"), "Runs without a trip", "declared_run_id"),
    Resource("findings", "auth.findings", (_DAY, "finding_id"), "Findings of the audit", "finding_id"),
    Resource("incidents", "auth.incidents", (_DAY, "incident_id"), "Findings of one cause", "incident_id"),
    Resource(
        "adjustments",
        "fact.adjustments",
        (_DAY, "adjustment_id"),
        "Corrections of closed cycles, and what reversed findings release",
        "adjustment_id",
    ),
    Resource("cycles", "mart.cycle_carriers", ("cycle_start", "cycle_carrier_id"), "Cycles by carrier and unit"),
    Resource("closes", "ops.cycle_closes", ("cycle_start", "status"), "Closes of cycles"),
    Resource("packages", "mart.package_lines", ("cycle_start", "billing_line_id"), "Lines of the measurement package"),
    Resource("files", "ops.ingested_files", ("file_sha256", "file_name"), "Files received"),
    Resource("rejections", "ops.rejected_rows", ("file_sha256", "row_number", "reason_code"), "Rows refused, and why"),
    Resource("contests", "fact.contests", (_DAY, "contest_id"), "Contests of findings", "contest_id"),
    Resource("attachments", "auth.attachments", ("file_id",), "Files attached to contests"),
    Resource("notes", "auth.notes", (_DAY, "note_id"), "Notes on findings", "note_id"),
    Resource("exceptions", "auth.requested_exceptions", ("exception_id",), "Requested exceptions", "exception_id"),
    Resource("uploads", "auth.received_uploads", ("upload_id",), "Files sent into the inbox", "upload_id"),
    Resource("rule-outcomes", "auth.rule_outcomes", ("rule_id",), "What contests made of each rule's findings"),
    Resource("audit-log", "auth.audit_log", ("entry_id",), "Who did what, and when"),
    Resource("users", "auth.users", ("user_id",), "Users"),
    Resource("runs", "ops.computed_days", (_DAY,), "Days computed: when, and by which version"),
    Resource("parameters", "ops.parameter_versions", ("parameters_version", "name"), "Parameters, by version"),
)


def described_resources(connection: sa.Connection, resources: Sequence[Resource] = RESOURCES) -> dict[str, Resource]:
    """The resources whose relations exist, with their columns; marts exist once a day was run."""
    found: dict[str, list[Column]] = {}
    views = set()
    names = [resource.relation for resource in resources]
    for row in connection.execute(sa.text(_COLUMNS), {"relations": names}):
        found.setdefault(row.relation, []).append(
            Column(row.name, row.type, row.description, row.precision, row.scale or 0)
        )
        if row.is_view:
            views.add(row.relation)
    return {
        one.name: replace(
            one,
            columns=tuple(found[one.relation])
            if one.relation in views
            else _readable(one.relation, found[one.relation]),
            is_view=one.relation in views,
        )
        for one in resources
        if one.relation in found
    }


def _readable(relation: str, columns: list[Column]) -> tuple[Column, ...]:
    """The columns that some profile reads: the others are in no document."""
    names = [column.name for column in columns]
    shown = {name for profile in PROFILES for name in readable_columns(profile, relation, names)}
    return tuple(column for column in columns if column.name in shown)


JSON_TYPES: Mapping[str, dict[str, object]] = {
    "text": {"type": "string"},
    "bigint": {"type": "integer"},
    "integer": {"type": "integer"},
    "numeric": {"type": "number"},
    "double precision": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp with time zone": {"type": "string", "format": "date-time"},
    "text[]": {"type": "array", "items": {"type": "string"}},
}


def row_schema(resource: Resource) -> dict[str, object]:
    """JSON Schema of a row; every value may be null or, for a profile that may not read it, absent."""
    properties = {}
    for column in resource.columns:
        shape = dict(JSON_TYPES.get(column.type, {}))
        if "type" in shape:
            shape["type"] = [shape["type"], "null"]
        properties[column.name] = {**shape, "description": column.description}
    return {"type": "object", "properties": properties, "additionalProperties": False}


_EXAMPLES: Mapping[str, object] = {
    "plate": "ABC1D23", "carrier_code": "C01", "unit_code": "USI1", "contract_id": "CT-01", "rule_id": "D01",
    "severity": "H", "area": "AGR", "purpose": "service",
    "text": "…", "bigint": 1, "integer": 1, "numeric": 12.34, "double precision": 0.9, "boolean": True,
    "date": "2025-06-10", "timestamp with time zone": "2025-06-10T09:00:00+00:00", "text[]": ["…"],
}  # fmt: skip


def example_row(resource: Resource) -> dict[str, object]:
    """A row for the document: a value of each column's type, as a reader sees one."""
    row = {}
    for column in resource.columns:
        is_id = column.type == "text" and column.name.endswith("_id") and column.name not in _EXAMPLES
        row[column.name] = "4c1f0a9be27d8835" if is_id else _EXAMPLES.get(column.name, _EXAMPLES.get(column.type))
    return row
