"""A carrier's own copy of a cycle: its rows alone, with reasons, evidence and the deadline for disputes.

The documents are those of the cycle, cut to one carrier; their content is decided there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.logic.closing.deadlines import business_deadline
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Document, Section
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.layout import Layout
from fleet_audit.reporting.package_model import Package
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.evidence import evidence_grid
from fleet_audit.reporting.sections.inputs import Frames, names_of
from fleet_audit.reporting.sections.listings import ANSWER, answer_grid
from fleet_audit.reporting.sections.redaction import CarrierNames, Others, frames_without_others
from fleet_audit.reporting.sections.trip_lines import trip_lines, trips_grid

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}(?<!\.)")


@dataclass(frozen=True)
class CarrierCopy:
    """The documents of one carrier, and the folder that they go into."""

    carrier_code: str
    document: Document
    package: Package

    @property
    def folder(self) -> str:
        """The carrier's code as one harmless path component; no two codes share one."""
        return carrier_folder(self.carrier_code)


def build_copy(
    frames: Frames,
    carrier_code: str,
    *,
    cycle: Cycle,
    generated_at: dt.datetime,
    closing: Closing,
    contest_days: int,
    drivers: Iterable[str] = (),
    named: CarrierNames | None = None,
    layout: Layout | None = None,
) -> CarrierCopy:
    """The copy of one carrier from the rows of the cycle, without the names of `drivers` in any text.

    Where `frames` lack rows of other carriers, `named` has the names of all in the cycle. The
    carrier may contest for `contest_days` business days after publication: the close, or, before any, `generated_at`.
    """
    own = own_frames(frames, carrier_code, drivers, named)
    published = (closing.closed_at or generated_at).astimezone(ZoneInfo(locale.REPORT_ZONE)).date()
    until = business_deadline(published, contest_days, _holidays(own))
    options: dict[str, Any] = {"cycle": cycle, "generated_at": generated_at, "closing": closing, "layout": layout}
    report = build_cycle(own, carrier_code=carrier_code, last_data_at=generated_at, **options)
    return CarrierCopy(
        carrier_code,
        _copy(report.document, own, until, published, contest_days),
        build_package(own, carrier_code=carrier_code, **options),
    )


def own_frames(
    frames: Frames, carrier_code: str, drivers: Iterable[str] = (), named: CarrierNames | None = None
) -> Frames:
    """The frames of one carrier, with texts and evidence redacted of other carriers and of drivers' names."""
    own = frames.of_carrier(carrier_code)
    others = others_of(named or CarrierNames.of_frames(frames), CarrierNames.of_frames(own), carrier_code)
    return frames_without_others(own, replace(others, people=frozenset(drivers)))


def others_of(named: CarrierNames, own: CarrierNames, carrier_code: str) -> Others:
    """Codes, names, plates and ids of other carriers; a vehicle that changed hands belongs to both."""
    codes = {*named.names, *named.codes} - {carrier_code}
    own_name = named.names.get(carrier_code, carrier_code)
    return Others(
        own=frozenset({carrier_code, own_name}),
        codes=frozenset(codes),
        names=frozenset({named.names.get(code, code) for code in codes} - {own_name}),
        plates=named.plates - own.plates,
        ids=named.ids - own.ids,
    )


def carrier_folder(carrier_code: str) -> str:
    """A harmless code as it is; any other, e.g. one with a slash, as its hash, which no harmless code starts like."""
    if _PLAIN.fullmatch(carrier_code):
        return carrier_code
    return f"_{hashlib.sha256(carrier_code.encode()).hexdigest()[:16]}"


def _copy(document: Document, own: Frames, until: dt.date, published: dt.date, contest_days: int) -> Document:
    """The cycle's document with every finding in print, its evidence row by row, the trips, and the deadline."""
    nothing = "Nenhum achado neste ciclo."
    answers = Section(
        "findings",
        "Achados",
        answer_grid(own),
        sheet="Achados",
        note=f"Escreva na coluna “{ANSWER.label}” e devolva a planilha até {locale.day(until)}.",
        empty=nothing,
        is_listing=True,
    )
    sections = tuple(
        answers if section.key == "findings" else section
        for section in document.sections
        if section.key not in ("top", "scores", "carriers")
    )
    zones = own.units.dropna(subset=["timezone"]).set_index("unit_code")["timezone"].to_dict()
    rows = evidence_grid(own.findings, zones, names_of(own.pois.drop_duplicates("poi_id", keep="last"), "poi_id"))
    evidence = Section("evidence", "Evidências", rows, sheet="Evidências", empty=nothing, is_listing=True)
    trips = Section("trips", "Viagens", trips_grid(trip_lines(own)), sheet="Viagens", is_workbook_only=True)
    deadline = (
        f"Contestação: até {locale.day(until)}, {locale.counted(contest_days, 'dia útil', 'dias úteis')} depois da "
        f"publicação em {locale.day(published)}; cite o id do achado, da viagem ou da corrida."
    )
    return replace(
        document,
        sections=(*sections, evidence, trips),
        stamp=f"{document.stamp} · contestação até {locale.day(until)}",
        notes=(deadline, *document.notes),
    )


def _holidays(own: Frames) -> frozenset[dt.date]:
    """Holidays of any unit that the carrier serves."""
    units = set(own.contracts["unit_code"].dropna()) | set(own.trips["unit_code"].dropna())
    days: pd.DataFrame = own.calendar
    return frozenset(days[(days["day_type"] == "feriado") & days["unit_code"].isin(units)]["date"])
