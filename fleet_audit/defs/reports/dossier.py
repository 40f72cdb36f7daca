"""The dossier of one contested finding: its rows from the stores as one PDF, and the job that writes it.

Its layout is in `reporting.documents.dossier`.
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.compute as pc

from fleet_audit.defs.reports.frames import known_until
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.source_rows import ReceivedRow, items_of_pages, rows_of_files
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.reporting.documents.dossier import Case, build_dossier
from fleet_audit.reporting.drawing.track import Track
from fleet_audit.reporting.formats.pdf import document_pdf
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.sections.inputs import Frames, names_of, records
from fleet_audit.reporting.sections.redaction import Others, masked_texts, without_others
from fleet_audit.schema import lake

FOLDER = "reports/dossiers"
_NAMED = ("units", "pois")  # reference tables with names written by people
_AROUND = dt.timedelta(minutes=30)  # shown before and after the period of the finding
_DAY = dt.timedelta(days=1)


def write_dossier(fleet: FleetResource, finding_id: str) -> str:
    """Writes the dossier of a finding and returns its address. Raises PermanentError: the finding does not exist."""
    layout = load_layout(fleet.settings().report_layout)
    pdf = document_pdf(build_dossier(case_of(fleet, finding_id), generated_at=known_until(fleet), layout=layout))
    path = f"{FOLDER}/{finding_id}.pdf"
    fleet.lake().put_bytes(path, pdf)
    return fleet.lake().url(path)


def case_of(fleet: FleetResource, finding_id: str) -> Case:
    """All rows about a finding, without other carriers' rows where it names a carrier."""
    warehouse, reference = fleet.warehouse(), fleet.reference()
    found = warehouse.read("select * from fact.findings where finding_id = :finding_id", {"finding_id": finding_id})
    if found.empty:
        raise PermanentError(
            f"Finding {finding_id!r} does not exist; fact.findings.finding_id and the reports list all findings."
        )
    others = _others(found, reference)
    tables = reference.tables()
    reference = reference.with_tables(
        **{name: tables[name].assign(name=masked_texts(tables[name]["name"], others)) for name in _NAMED}
    )
    (finding,) = records(without_others(found, others))
    finding |= {
        name: names_of(table, code).get(finding[code], finding[code])
        for name, table, code in (
            ("unit", reference.units, "unit_code"),
            ("carrier", reference.carriers, "carrier_code"),
        )
    }
    evidence = json.loads(finding["evidence"])
    track, sources = _track(fleet, finding, evidence, reference)
    prices = _prices(fleet, evidence)
    return Case(
        finding,
        evidence,
        track,
        others.without([vars(row) for row in (*_received(fleet, evidence), *_positions_received(fleet, sources))]),
        others.without(prices),
        _terms(finding, prices, reference),
        warehouse.read(
            "select * from ops.parameter_versions where parameters_version = :version",
            {"version": evidence.get("parameters_version") or ""},
        ),
    )


def _others(found: pd.DataFrame, reference: Reference) -> Others:
    """What the finding's carrier must not see; nothing is hidden for a finding without a carrier."""
    code, vehicles = found["carrier_code"].iloc[0], reference.vehicles
    if pd.isna(code):
        return Others()
    names = names_of(reference.carriers, "carrier_code")
    own_name = names.get(code, code)
    own_plates = {*vehicles.loc[(vehicles["carrier_code"] == code).fillna(False), "plate"], found["plate"].iloc[0]}
    plates = frozenset(set(vehicles["plate"]) - own_plates)
    evidence = json.loads(found["evidence"].iloc[0])
    ids = {
        row[name]
        for rows, name in (("trips", "trip_id"), ("declared_runs", "declared_run_id"))
        for row in evidence.get(rows, ())
        if row.get("plate") in plates
    }
    return Others(
        own=frozenset({code, own_name}),
        codes=frozenset(set(names) - {code}),
        names=frozenset(set(names.values()) - {own_name}),
        plates=plates,
        ids=frozenset(ids),
    )


def _track(
    fleet: FleetResource, finding: Mapping[str, Any], evidence: Mapping[str, Any], reference: Reference
) -> tuple[Track, pd.DataFrame]:
    """The vehicle's points around the period of the finding, and the same rows with their origin."""
    day, plate = finding["operational_date"], finding["plate"]
    zone = names_of(reference.units.rename(columns={"name": "label", "timezone": "name"}), "unit_code")
    spans = [
        *((f"ata {run.get('bulletin_number') or ''}".strip(), *_period(run), run.get("declared_km"))
          for run in evidence.get("declared_runs", ()) if run.get("started_at")),
        *(("viagem", *_period(trip), None) for trip in evidence.get("trips", ()) if trip.get("started_at")),
    ]  # fmt: skip
    midnight = pd.Timestamp(day, tz=zone.get(finding["unit_code"], Track.zone))
    start = min((span[1] for span in spans), default=midnight) - _AROUND
    end = max((span[2] for span in spans), default=midnight + _DAY) + _AROUND
    devices = valid_on(reference.devices, day)
    own = {*devices.loc[devices["plate"] == plate, "device_id"]}
    own |= {trip["device_id"] for trip in evidence.get("trips", ()) if trip.get("device_id")}
    days = [stamp.date() for stamp in pd.date_range((start - _DAY).date(), (end + _DAY).date())]
    points = fleet.lake().read_days(lake.STAGING_POSITIONS, days, filter=pc.field("device_id").isin(sorted(own)))
    points = points[(points["recorded_at"] >= start) & (points["recorded_at"] <= end)].sort_values("recorded_at")
    rejected = fleet.lake().read_days(lake.REJECTED_POINTS, days, filter=pc.field("plate") == (plate or ""))
    points["is_rejected"] = points["recorded_at"].isin(rejected["recorded_at"])
    places = valid_on(reference.pois, day).dropna(subset=["latitude", "longitude"])
    return Track(points, spans, zone.get(finding["unit_code"], Track.zone), records(places)), points


def _period(row: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    return dt.datetime.fromisoformat(row["started_at"]), dt.datetime.fromisoformat(row["ended_at"])


def _received(fleet: FleetResource, evidence: Mapping[str, Any]) -> list[ReceivedRow]:
    rows = [*evidence.get("declared_runs", ()), *evidence.get("legs", ())]
    asked = [(row["file_sha256"], row["row_number"]) for row in rows if row.get("file_sha256")]
    return rows_of_files(fleet.lake(), fleet.warehouse(), asked) if asked else []


def _positions_received(fleet: FleetResource, points: pd.DataFrame) -> list[ReceivedRow]:
    """The first and the last position of the period, as they arrived."""
    ends = points.iloc[[0, -1]] if len(points) > 1 else points
    of_pages, of_files = ends[ends["source"] == "api"], ends[ends["source"] == "file"]
    items = [(row.device_id, row.recorded_at) for row in of_pages.itertuples()]
    rows = [(row.file_sha256, int(row.row_number)) for row in of_files.itertuples()]
    return [
        *items_of_pages(fleet.lake(), fleet.warehouse(), fleet.adapter(), items),
        *(rows_of_files(fleet.lake(), fleet.warehouse(), rows) if rows else []),
    ]


def _prices(fleet: FleetResource, evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    return records(
        fleet.warehouse().read(
            "select * from fact.trip_costs where trip_id = any(string_to_array(:trip_ids, ',')) order by trip_id",
            {"trip_ids": ",".join(trip["trip_id"] for trip in evidence.get("trips", ()))},
        )
    )


def _terms(finding: Mapping[str, Any], prices: list[dict[str, Any]], reference: Reference) -> Frames:
    """The contracts of the trips, else of the vehicle on the day; their tariffs that priced, else that may."""
    vehicle = valid_on(reference.vehicles, finding["operational_date"])
    vehicle = vehicle[vehicle["plate"] == finding["plate"]]
    ids = {price["contract_id"] for price in prices if price["contract_id"]} or {*vehicle["contract_id"].dropna()}
    tariffs = reference.tariffs
    tariffs = tariffs[tariffs["contract_id"].isin(ids)]
    used = {price["tariff_id"] for price in prices if price["tariff_id"]}
    may = tariffs["vehicle_class"].isna() | tariffs["vehicle_class"].isin(vehicle["vehicle_class"].dropna())
    return Frames(
        units=reference.units,
        carriers=reference.carriers,
        contracts=reference.contracts[reference.contracts["contract_id"].isin(ids)],
        tariffs=tariffs[tariffs["tariff_id"].isin(used) if used else may],
    )


class DossierConfig(dg.Config):
    """Which finding."""

    finding_id: str


@dg.op(description="One PDF about one finding: map, odometer, rows as received, tariff clause, parameters.")
def dossier_of_finding(context: dg.OpExecutionContext, config: DossierConfig, fleet: FleetResource) -> None:
    """Write the dossier and report its address."""
    path = write_dossier(fleet, config.finding_id)
    context.log.info(path)
    context.log_event(
        dg.AssetMaterialization(["reports", "dossiers"], metadata={"path": path, "finding_id": config.finding_id})
    )


@dg.job(
    name="dossier",
    executor_def=dg.in_process_executor,
    description="The dossier of one contested finding. Launch it with finding_id in the op's config.",
)
def dossier_job() -> None:
    """One op."""
    dossier_of_finding()
