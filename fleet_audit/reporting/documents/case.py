"""A contested finding or trip with the rows about it, which a dossier and an explanation show.

Its rows are read in `dossiers`; the two documents are in `dossier` and `explanation`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.drawing.track import Track
from fleet_audit.reporting.labels import KM_METHODS
from fleet_audit.reporting.parameter_labels import parameter_unit
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.proof.vehicle_cycle import VehicleCycle
from fleet_audit.reporting.sections.sheets.terms import contract_rows, tariff_rows

DOCUMENTED_PLACES = "Locais decididos por ata ou relatório de visitas"


@dataclass(frozen=True)
class Case:
    """A finding or a trip, and the rows about it.

    `finding` is its row with unit and carrier as names, None in the case of a trip; `findings` are those about the
    trip. `evidence` holds trips, declared_runs and, of a finding, thresholds and what else proves it; `places` are
    names by poi_id. `track` has the points around the period in question, its spans are that period. `legs` are rows
    of `trips.legs` with origin and destination as names. `received` are rows as the sources sent them (file_name,
    row_number, text); `prices` are the costs of the trips (columns of `fact.trip_costs`); `terms` hold the contracts
    and tariffs that apply; `parameters` are (name, value, unit) of those that decided. `vehicle_cycle` has the
    days, trips and plan of the vehicle where the finding is about a whole cycle.
    """

    day: dt.date
    plate: str | None
    evidence: Mapping[str, Any]
    track: Track
    finding: Mapping[str, Any] | None = None
    findings: Sequence[Mapping[str, Any]] = ()
    legs: Sequence[Mapping[str, Any]] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    received: Sequence[Mapping[str, Any]] = ()
    prices: Sequence[Mapping[str, Any]] = ()
    terms: Frames = field(default_factory=Frames)
    parameters: Sequence[tuple[str, float, str]] = ()
    vehicle_cycle: VehicleCycle | None = None
    unit: str | None = None
    carrier: str | None = None

    @property
    def trip(self) -> Mapping[str, Any]:
        """The case's first trip; empty where it has none."""
        return next(iter(self.evidence.get("trips", ())), {})


def clause_rows(case: Case) -> list[tuple[str, str, str, str]]:
    """The contracts and tariffs that apply: group, id, value, words."""
    cycle = Cycle(case.day, case.day)
    return [*contract_rows(case.terms, cycle), *tariff_rows(case.terms, cycle)]


def parameter_value(value: float, unit: str) -> str:
    """`0,5 km`, `10 %`."""
    return f"{locale.plain(Decimal(str(value)))} {parameter_unit(unit)}".strip()


def measured_words(trip: Mapping[str, Any]) -> str:
    """`12,30 km por hodômetro (hodômetro 12,30 km; GPS 12,18 km), incerteza ± 0,20 km` of a trip."""
    method = KM_METHODS.get(trip.get("km_method") or "", "método desconhecido")
    both = [f"{word} {_km(trip[name])}" for name, word in (("km_odometer", "hodômetro"), ("km_gps", "GPS"))
            if trip.get(name) is not None]  # fmt: skip
    words = f"{_km(trip['km_measured'])} por {method}" if trip.get("km_measured") is not None else "desconhecidos"
    doubt = trip.get("km_uncertainty")
    return words + (f" ({'; '.join(both)})" if both else "") + (f", incerteza ± {_km(doubt)}" if doubt else "")


def documented_places_words(trip: Mapping[str, Any]) -> str | None:
    """`origem e destino` of a trip whose places a bulletin or visit report decided; None where none did."""
    sides = [
        word
        for name, word in (("origin", "origem"), ("destination", "destino"))
        if trip.get(f"{name}_poi_id") is not None and trip.get(f"{name}_candidates") is not None
    ]
    return " e ".join(sides) or None


def _km(value: Any) -> str:
    return f"{locale.number(Decimal(str(value)))} km"
