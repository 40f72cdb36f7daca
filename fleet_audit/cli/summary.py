"""The result of a run on one screen: km, money, findings, the four amounts, what was refused, where the reports are.

Numbers come from the warehouse, so they equal those of the reports.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.cli.lines import write_figures, write_labelled
from fleet_audit.cli.run import JobResult
from fleet_audit.installation import Installation
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.logic.reference.changes import delta_statement
from fleet_audit.observability.json_logs import known_fields, partition_name
from fleet_audit.reporting.locale import number
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import REFERENCE_DELTAS
from fleet_audit.settings import Settings
from fleet_audit.storage.warehouse import Warehouse

_DELTAS = """
select * from ops.reference_deltas where operational_date between :first and :last or not is_rerun
order by change_run_id, operational_date, carrier_code
"""
AMOUNTS = {
    "paid_doubtful_brl": "paid and in doubt",
    "disallowed_brl": "disallowed",
    "held_brl": "held",
    "in_favour_brl": "in the carriers' favour",
}
SEVERITIES = {"C": "critical", "H": "high", "M": "medium", "L": "low"}


def print_summary(settings: Settings, result: JobResult) -> None:
    """Print the table; errors and refused files come last, where they are seen."""
    installation = Installation(settings)
    warehouse = installation.warehouse()
    first, last = result.days[0], result.days[-1]
    span: dict[str, object] = {"first": first, "last": last}
    with known_fields(partition=partition_name(first, last), run_ids=result.run_ids):
        write_figures(
            f"{first} to {last}", [*_figures(warehouse, span), *_findings(warehouse, span), *_amounts(warehouse, span)]
        )
        lake = installation.lake()
        reports = [("D-1 report", f"reports/d1/date={last}/d1.html")]
        for start in result.cycles:
            reports.append(("cycle report", f"reports/cycle/start={start}/relatorio_mensal.xlsx"))
            reports.append(("package", f"reports/cycle/start={start}/pacote_medicao.xlsx"))
        for label, path in reports:
            if lake.exists(path):
                write_labelled(label, lake.url(path))
        _print_changes(warehouse, span)
        for sentence in _refused(warehouse):
            write_labelled("refused", sentence, logging.WARNING)
        _print_failures(result)


def print_close(settings: Settings, result: JobResult) -> None:
    """Print how far a cycle is closed, and what its close froze."""
    installation = Installation(settings)
    closes = installation.warehouse().read(
        "select * from ops.cycle_closes where cycle_start = :start order by status limit 1", {"start": result.cycles[0]}
    )
    with known_fields(partition=f"{result.cycles[0]}", run_ids=result.run_ids):
        for row in closes.itertuples():  # a final close comes before a provisional one
            figures = [
                ("billable km", _number(row.total_km)),
                ("variable cost", _brl(row.total_variable_brl)),
                ("fixed cost", _brl(row.total_fixed_brl)),
                ("closed at", f"{row.closed_at:%Y-%m-%dT%H:%M:%SZ}"),
                ("code", str(row.code_version)),
            ]
            write_figures(f"{row.cycle_start} to {row.cycle_end}: {row.status}", figures)
            write_labelled("manifest", installation.lake().url(row.manifest_path))
            write_labelled("its SHA-256", row.manifest_sha256)
        _print_failures(result)


def _print_failures(result: JobResult) -> None:
    for sentence in result.warnings:
        write_labelled("warning", sentence, logging.WARNING)
    for sentence in result.errors:
        write_labelled("FAILED", sentence, logging.ERROR)


def _print_changes(warehouse: Warehouse, span: dict[str, object]) -> None:
    """Effect of changes of reference data on the days of the run, by carrier; days that wait to be run again."""
    deltas = conform(warehouse.read(_DELTAS, span), REFERENCE_DELTAS)
    in_span = deltas["operational_date"].between(span["first"], span["last"]).to_numpy(dtype=bool)
    for row in delta_statement(deltas[in_span]).itertuples():
        carrier = "no carrier" if pd.isna(row.carrier_code) else row.carrier_code
        write_labelled(
            "changed",
            f"{row.tables}, {carrier}, {row.days} days: {_number(row.km_before)} -> "
            f"{_number(row.km_after)} km, {_brl(row.brl_before)} -> {_brl(row.brl_after)} ({_brl(row.difference_brl)})",
        )
    waiting = sorted(set(deltas.loc[~deltas["is_rerun"].to_numpy(dtype=bool), "operational_date"]))
    if waiting:
        write_labelled(
            "run again",
            f"reference data changed on {len(waiting)} computed days, {waiting[0]} to {waiting[-1]}",
            logging.WARNING,
        )
    adjusted = _one(
        warehouse,
        "select count(*) as lines, sum(difference_km) as km, sum(difference_brl) as brl from fact.adjustments "
        "where operational_date between :first and :last",
        span,
    )
    if adjusted["lines"]:
        write_labelled(
            "adjustments",
            f"{adjusted['lines']} lines of closed days and of reversed findings: "
            f"{_number(adjusted['km'])} km, {_brl(adjusted['brl'])}",
        )


def _figures(warehouse: Warehouse, span: dict[str, object]) -> list[tuple[str, str]]:
    row = _one(
        warehouse,
        """
        select count(*) filter (where t.purpose = 'service') as trips,
               sum(t.km_measured) filter (where t.purpose = 'service') as service_km,
               sum(t.km_measured) as km, sum(c.variable_cost_brl) as variable,
               sum(c.billable_km) filter (where c.variable_cost_brl is not null) as billable_km,
               count(*) filter (where c.variable_cost_brl is null) as unpriced
        from fact.trips t left join fact.trip_costs c using (trip_id)
        where t.operational_date between :first and :last""",
        span,
    )
    fixed = _one(
        warehouse,
        "select sum(amount_brl) as fixed from fact.fixed_cost_days where operational_date between :first and :last",
        span,
    )
    seen = _one(
        warehouse,
        "select count(*) filter (where status <> 'silent') as seen, "
        "count(*) filter (where status = 'silent') as silent from fact.vehicle_day_coverage "
        "where operational_date between :first and :last",
        span,
    )
    return [
        ("service trips", f"{row['trips']}"),
        ("service km", _number(row["service_km"])),
        ("all measured km", _number(row["km"])),
        ("billable km", _number(row["billable_km"])),
        ("variable cost", _brl(row["variable"])),
        ("trips without a price", f"{row['unpriced']}"),
        ("fixed cost of these days", _brl(fixed["fixed"])),
        ("vehicle-days seen / silent", f"{seen['seen']} / {seen['silent']}"),
    ]


def _findings(warehouse: Warehouse, span: dict[str, object]) -> list[tuple[str, str]]:
    found = warehouse.read(
        "select severity, count(*) as number from fact.findings "
        "where operational_date between :first and :last and status = 'open' group by severity",
        span,
    )
    numbers = dict(zip(found["severity"], found["number"], strict=True))
    return [(f"findings, {name}", f"{numbers.get(code, 0)}") for code, name in SEVERITIES.items()]


def _amounts(warehouse: Warehouse, span: dict[str, object]) -> list[tuple[str, str]]:
    """The four amounts of the days, apart: findings of one cause share theirs, and no two kinds are added up."""
    days = warehouse.read(
        "select paid_doubtful_brl, disallowed_brl, held_brl, in_favour_brl from fact.vehicle_day_amounts "
        "where operational_date between :first and :last",
        span,
    )
    computed = _one(
        warehouse,
        "select count(*) as days from fact.vehicle_day_coverage where operational_date between :first and :last",
        span,
    )
    return [(label, _amount(days[name]) if computed["days"] else _brl(None)) for name, label in AMOUNTS.items()]


def _refused(warehouse: Warehouse) -> list[str]:
    files = warehouse.read(
        "select file_name, message from ops.ingested_files where status = 'rejected' order by received_at, file_name",
        {},
    )
    return [f"{row.file_name}: {row.message}" for row in files.itertuples()]


def _one(warehouse: Warehouse, sql: str, params: dict[str, object]) -> dict[str, object]:
    return warehouse.read(sql, params).to_dict("records")[0]


def _number(value: Any) -> str:
    return "no data" if pd.isna(value) else number(Decimal(str(value)))


def _brl(value: Any) -> str:
    return "no data" if pd.isna(value) else f"R$ {_number(value)}"


def _amount(days: pd.Series) -> str:
    """The known part, zero without rows, and of how many vehicle-days the amount has no rate."""
    known, unknown = sum_decimal(days) or Decimal(0), int(days.isna().sum())
    beside = f"{unknown} without a rate"
    return _brl(known) if not unknown else f"{_brl(known)} + {beside}" if known else beside
