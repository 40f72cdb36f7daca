"""The evidence of findings for print: the rows of the sources that it names.

The rules choose the evidence, `redaction` cuts it for a carrier; here it is only listed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import KM_METHODS, ODOMETER_EVENTS
from fleet_audit.reporting.locale import REPORT_ZONE, counted, number
from fleet_audit.reporting.sections.inputs import records

FIELDS = (
    Field("finding_id", "Achado (id)", width=17),
    Field("rule_id", "Regra", width=7),
    Field("what", "O que é", width=16),
    Field("number", "Ata ou viagem", width=18),
    Field("from_to", "De / para", width=40),
    Field("started", "Saída", Kind.MOMENT, 16),
    Field("ended", "Chegada", Kind.MOMENT, 16),
    Field("km", "Km", Kind.KM, 9),
    Field("source", "Fonte", width=40),
)


def evidence_grid(findings: pd.DataFrame, zones: Mapping[str, str], places: Mapping[str, str]) -> Grid:
    """The runs, trips, movements and readings that the findings' evidence names, one per row, in the findings' order.

    A finding whose evidence names no row has one with what its rule proves: every finding is listed. Times are on the
    clock of the finding's unit, as in its sentence; `zones` name it by unit, `places` are names by poi_id.
    """
    rows = []
    for finding in records(findings[["finding_id", "rule_id", "unit_code", "evidence"]]):
        zone = zones.get(finding["unit_code"], REPORT_ZONE)
        evidence = json.loads(finding["evidence"])
        proofs = list(evidence_rows(evidence, zone, places)) or [_without_rows(evidence)]
        rows += [{"finding_id": finding["finding_id"], "rule_id": finding["rule_id"], **row} for row in proofs]
    return grid_of(FIELDS, rows)


def evidence_rows(evidence: Mapping[str, Any], zone: str, places: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """What, number, places, local times and km of each row that the evidence holds, and the origin of the row."""
    for run in in_order_of_time(evidence, "declared_runs"):
        yield {
            **_when(run, zone),
            "what": "corrida declarada",
            "number": run.get("bulletin_number") or run.get("declared_run_id"),
            "from_to": _places(run.get("origin_text"), run.get("destination_text")),
            "km": _decimal(run.get("declared_km")),
            "source": _source(run),
        }
    for trip in in_order_of_time(evidence, "trips"):
        yield {
            **_when(trip, zone),
            "what": "viagem medida",
            "number": trip.get("trip_id"),
            "from_to": _places(*(places.get(trip.get(name), trip.get(name)) for name in _TRIP_ENDS)),
            "km": _decimal(trip.get("km_measured")),
            "source": f"{_SOURCES.get(trip.get('source'), '')}, km por {KM_METHODS.get(trip.get('km_method'), '?')}",
        }
    for leg in evidence.get("legs", ()):
        if leg.get("file_sha256"):
            yield {
                **_when(leg, zone),
                "what": "trecho do relatório",
                "number": leg.get("trip_id"),
                "from_to": _places(leg.get("origin_address"), leg.get("destination_address")),
                "km": _decimal(leg.get("km_reported")),
                "source": _source(leg),
            }

    for name, what in _DAY_LISTS.items():
        for day in evidence.get(name, ()):
            yield {
                "started": dt.datetime.fromisoformat(day["operational_date"]),
                "what": what,
                "number": counted(len(day["trip_ids"]), "viagem", "viagens"),
                "km": _decimal(day["km"]),
                "source": ", ".join(day["trip_ids"]),
            }
    for row in evidence.get("plan_rows", ()):
        yield {
            "what": "linha do plano",
            "number": counted(int(row["planned_trips"]), "viagem", "viagens"),
            "from_to": f"rota {row['route_code']}" if row["route_code"] else "todas as rotas",
            "km": _decimal(row["planned_km"]),
            "source": f"km_plan, ciclo de {row['cycle_start']}",
        }
    for trip in evidence.get("compared_trips", ()):
        yield {
            **_when(trip, zone),
            "what": "viagem comparada",
            "number": trip["trip_id"],
            "from_to": _places(*(places.get(trip[name], trip[name]) for name in _TRIP_ENDS)),
            "km": _decimal(trip["km"]),
            "source": f"em movimento {_minutes(trip, 'moving_s')}; parado {_minutes(trip, 'standing_s')}",
        }
    for event in evidence.get("events", ()):
        before, after = (Decimal(str(event[f"odometer_{end}_km"])) for end in ("from", "to"))
        yield {
            **_when(event, zone),
            "what": f"hodômetro: {ODOMETER_EVENTS[event['kind']]}",
            "number": event["device_id"],
            "from_to": f"{number(before)} km → {number(after)} km",
            "km": after - before,
            "source": "posições do equipamento",
        }


def in_order_of_time(evidence: Mapping[str, Any], name: str) -> list[Any]:
    """The evidence's trips or runs by their start, as a reader follows the day; those without one first."""
    return sorted(evidence.get(name, ()), key=lambda row: row.get("started_at") or "")


def _without_rows(evidence: Mapping[str, Any]) -> dict[str, str | None]:
    return {"what": "sem linha de fonte", "from_to": evidence.get("proves")}


_TRIP_ENDS = ("origin_poi_id", "destination_poi_id")
_DAY_LISTS = {
    "trip_days": "viagens de serviço do dia",
    "service_days": "viagens de serviço do dia",
    "deadhead_days": "viagens vazias do dia",
}
_SOURCES = {"positions": "posições", "visit_report": "relatório de visita"}


def _when(row: Mapping[str, Any], zone: str) -> dict[str, dt.datetime | None]:
    """Wall clock of the reader, as a workbook sorts and filters it."""
    return {
        name: dt.datetime.fromisoformat(row[key]).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if row.get(key)
        else None
        for name, key in (("started", "started_at"), ("ended", "ended_at"))
    }


def _places(start: str | None, end: str | None) -> str | None:
    return f"{start or '?'} → {end or '?'}" if start or end else None


def _source(row: Mapping[str, Any]) -> str | None:
    name, number = row.get("file_name") or row.get("file_sha256", "")[:12], row.get("row_number")
    return f"{name}, linha {number}" if name and number else name or None


def _minutes(trip: Mapping[str, Any], name: str) -> str:
    """`18,5 min (habitual 27,3 min)`."""
    now, usual = (f"{number(Decimal(str(trip[key] / 60)), 1)} min" for key in (name, f"usual_{name}"))
    return f"{now} (habitual {usual})"


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
