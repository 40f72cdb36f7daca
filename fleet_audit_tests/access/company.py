"""A company of two carriers in two units, in which every row of every table carries the marks of its owner.

`PLACES` are the four owners; a text, key or number of one is recognised wherever it turns up.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from fleet_audit.marts.model import Days
from fleet_audit.marts.project import load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.schema.model import Column, Type
from fleet_audit.schema.registry import TABLES
from fleet_audit.schema.sql import metadata
from fleet_audit.storage.postgres import engine_of

DAY = dt.date(2025, 6, 10)
PLACES = {  # (carrier, unit) -> plate
    ("VIOESTE", "USINAA"): "AAA1A11",
    ("VIOESTE", "USINAB"): "AAA2A22",
    ("VILESTE", "USINAA"): "BBB1B11",
    ("VILESTE", "USINAB"): "BBB2B22",
}
OESTE, LESTE = ("VIOESTE", "USINAA"), ("VILESTE", "USINAB")
USERS = {  # login -> (profile, carrier, unit)
    "operador": ("operations", None, "USINAA"),
    "financeiro": ("finance", None, "USINAA"),
    "auditora": ("auditor", None, None),
    "oeste": ("carrier", "VIOESTE", None),
    "leste": ("carrier", "VILESTE", "USINAB"),
    "administradora": ("admin", None, None),
}
SHARED = (
    "ops.computed_days",
    "ref.parameters",
    "ops.parameter_versions",
    "ref.units",
    "ref.calendar",
    "ref.shifts",
)  # of the company, not of an owner
_KEYS = ("run", "trip", "declared_run", "finding", "contract", "device", "driver", "poi", "route", "match", "incident")
_HASHES = {f"{name}_id": f"{number:x}" for number, name in enumerate(_KEYS)}


def places_of(login: str) -> list[tuple[str, str]]:
    """The owners whose rows a user may see."""
    profile, carrier, unit = USERS[login]
    if profile == "admin":
        return []
    return [place for place in PLACES if carrier in (None, place[0]) and unit in (None, place[1])]


def marks(place: tuple[str, str]) -> set[str]:
    """Texts that only this owner's rows hold."""
    number = list(PLACES).index(place)
    return {PLACES[place], f"mark{number}mark", f"{number + 1}{number + 1}{number + 1}777.77"}


def foreign_marks(login: str) -> set[str]:
    """Texts that only rows out of the user's scope hold."""
    return set().union(*(marks(place) for place in PLACES if place not in places_of(login)), set())


def key(column: str, place: tuple[str, str]) -> str:
    """A key of an owner: 16 hexadecimal digits, as the pipeline's are."""
    return f"{_HASHES.get(column, 'f')}{list(PLACES).index(place)}".rjust(16, "a")


def create_company(url: str) -> None:
    """Fills every table with one row per owner, and publishes the marts of the day."""
    with engine_of(url).begin() as connection:
        for name, table in metadata.tables.items():
            columns = TABLES[name].columns if name in TABLES else _columns_of(name)
            rows = [{column.name: _value(name, column, place) for column in columns} for place in PLACES]
            if name in ("ref.carriers", "ref.units", "ref.calendar", "ref.shifts"):  # one row per carrier or unit
                names = [column.name for column in table.primary_key] or ["unit_code"]
                rows = list({tuple(row[one] for one in names): row for row in rows}.values())
            if table.primary_key.columns.keys() in (
                ["operational_date"],
                ["cycle_start", "status"],
                ["partition_date"],
                ["cycle_start"],
            ):
                rows = rows[:1]
            connection.execute(sa.insert(table), rows)
    project = load_project()
    for model in project.models:
        publish(url, project, model, Days(DAY, DAY) if model.is_daily else None, {"closing_day": 16})


def api_engine(owner_url: str) -> sa.Engine:
    """Two connections of the read API's role to a database, given its owner's URL."""
    url = sa.make_url(owner_url.replace("postgres@", "fleet_api@")).set(drivername="postgresql+psycopg2")
    return sa.create_engine(url, pool_size=2, max_overflow=0)


def create_disputes(connection: sa.Connection) -> None:
    """One contest, attached file, note, requested exception and upload of each owner, with its marks."""
    for number, place in enumerate(PLACES):
        mark, amount = f"mark{number}mark", Decimal(f"{str(number + 1) * 3}777.77")
        owner = {"carrier_code": place[0], "unit_code": place[1]}
        finding = {"finding_id": key("finding_id", place), "operational_date": DAY, **owner}
        text = f"{PLACES[place]} {mark}: R$ 1.234,56"
        _insert(connection, "contests", contest_id=mark, rule_id="D01", plate=PLACES[place], brl_at_stake=amount,
                status="contested", due_date=DAY, opened_by=mark, text=text, **finding)  # fmt: skip
        _insert(connection, "contest_files", file_id=mark, contest_id=mark, file_name=f"{mark}.pdf",
                file_sha256=mark, size_bytes=1, path=mark, added_by=mark, **owner)  # fmt: skip
        _insert(connection, "finding_notes", note_id=mark, written_by=mark, text=text, is_internal=False, **finding)
        _insert(connection, "exceptions", exception_id=mark, plate=PLACES[place], date_to=DAY, reason=text,
                status="requested", requested_by=mark, **owner)  # fmt: skip
    counts = dict.fromkeys(("rows_read", "rows_accepted", "rows_rejected"), 1)
    _insert(connection, "uploads", upload_id="mark3mark", user_id="leste", uploaded_by="leste", kind="bulletins",
            file_name="mark3mark.csv", file_sha256="mark3mark", size_bytes=1, status="accepted",
            message="mark3mark", **counts)  # fmt: skip


def _insert(connection: sa.Connection, name: str, **values: Any) -> None:
    table = sa.table(name, *map(sa.column, values), schema="auth")
    connection.execute(sa.insert(table).values(values))


def _columns_of(name: str) -> tuple[Column, ...]:
    return next(table.columns for table in TABLES.values() if table.full_name == name)


def _value(table: str, column: Column, place: tuple[str, str]) -> Any:
    carrier, unit = place
    number = list(PLACES).index(place)
    mark, plate = f"mark{number}mark", PLACES[place]
    other = next(other for other in PLACES if other[0] != carrier)
    fixed: dict[str, Any] = {
        "carrier_code": carrier, "unit_code": unit, "plate": plate, "plates": [plate, PLACES[other]],
        "operational_date": DAY, "cycle_start": dt.date(2025, 5, 16), "date": DAY, "timezone": "America/Sao_Paulo",
        "valid_from": dt.date(2025, 1, 1), "valid_to": None, "trip_ids": [key("trip_id", place)],
        "declared_run_ids": [key("declared_run_id", place)], "finding_ids": [key("finding_id", place)],
        "root_finding_id": key("finding_id", place), "origin_poi_id": key("poi_id", place),
        "destination_poi_id": key("poi_id", place), "route_code": key("route_id", place), "titular_plate": None,
        "evidence": {"placa": PLACES[other], "brl": f"{number + 1}{number + 1}{number + 1}777.77"}, "status": None,
        "explanation_pt": f"{plate} rodou junto com {PLACES[other]} da Transportadora {other[0]}: R$ 1.234,56 a mais.",
        "started_at": dt.datetime(2025, 6, 10, 12, tzinfo=dt.UTC), "weekdays": "1-5", "start_local": "06:00",
        "end_local": "14:00", "contributions": {"start": 100, f"{mark}:D01": 0},
        "shift_code": f"T{number}", "exception_id": None if table == "fact.findings" else mark,
        "latitude": -21.0 - number, "longitude": -48.0,
    }  # fmt: skip
    if table in SHARED:
        mark = "shared"
    fixed["sentence_pt"] = fixed["explanation_pt"]
    if column.values is not None:
        return column.values[number % len(column.values)] if column.type is Type.TEXT else list(column.values[:1])
    if (column.name in fixed and fixed[column.name] is not None) or column.name in ("valid_to", "titular_plate"):
        value = fixed[column.name]
        return json.loads(json.dumps(value)) if column.type is Type.JSON else value
    if column.name == "exception_id" and table == "fact.findings":
        return None
    if column.name in _HASHES and table not in SHARED:
        return key(column.name, place)
    if column.name == "name" and table == "ref.carriers":
        return f"Transportadora {carrier}"
    if column.name == "name" and table == "ref.units":
        return f"Unidade {unit}"
    if column.name == "name" and table == "ref.drivers":
        return f"Fulano {mark}"
    amount = Decimal(f"{str(number + 1) * 3}777.77")
    return {
        Type.TEXT: f"{mark} {number}" if table in SHARED else mark,
        Type.TEXT_LIST: [mark],
        Type.INTEGER: number + 1,
        Type.FLOAT: (number + 1) / 10,
        Type.BOOLEAN: True,
        Type.DATE: DAY,
        Type.TIMESTAMP: dt.datetime(2025, 6, 10, 12 + number, tzinfo=dt.UTC),
        Type.LOCAL_TIMESTAMP: dt.datetime(2025, 6, 10, 12),
        Type.KM: Decimal(10 + number),
        Type.KM3: Decimal(10 + number),
        Type.RATE: Decimal(5 + number),
        Type.PERCENT: Decimal(10 + number),
        Type.BRL: amount,
        Type.JSON: {"x": mark},
    }[column.type]
