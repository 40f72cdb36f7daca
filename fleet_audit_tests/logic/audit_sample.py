"""A made-up day of one carrier for the tests of matching and rules: trips, declared runs, what else a rule reads."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pandas as pd

from fleet_audit.logic.audit.clock_offsets import minute_offsets, shifted_for_matching
from fleet_audit.logic.audit.findings import complete
from fleet_audit.logic.audit.matching import match
from fleet_audit.logic.audit.night_shifts import repair_dates, trips_of_next_day
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.repeats import duplicates, of_another_carrier, writers
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES, DAY_RULES
from fleet_audit.logic.devices.device_health import DeviceDay
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)
ZONE = "America/Sao_Paulo"
PLATE, OTHER = "AAA1A11", "BBB2B22"


def at(clock: str, day: dt.date = DAY, zone: str = ZONE) -> pd.Timestamp:
    """Local `06:15` of a day as an instant; `26:00` is 02:00 of the day after."""
    hour, minute = (int(part) for part in clock.split(":")[:2])
    wall = dt.datetime.combine(day + dt.timedelta(days=hour // 24), dt.time(hour % 24, minute))
    return pd.Timestamp(wall, tz=zone).tz_convert("UTC")


def trip(trip_id: str, start: str, end: str, km: str | None = "30.00", *, day: dt.date = DAY, **more: object) -> dict:
    """A measured trip; local times."""
    return {
        "trip_id": trip_id, "date": DAY, "operational_date": day, "plate": PLATE, "unit_code": "UCP",
        "carrier_code": "CONLOG", "contract_id": "CT1", "started_at": at(start, day), "ended_at": at(end, day),
        "purpose": "service", "km_measured": km, "km_method": "odometer", "evidence_grade": "A", "source": "positions",
        "is_end_in_gap": False, "legs": 1, "parameters_version": "p", **more,
    }  # fmt: skip


def run(run_id: str, start: str, end: str, km: str = "30", *, day: dt.date = DAY, **more: object) -> dict:
    """A declared run as written: DATA is `day`; local times."""
    return {
        "declared_run_id": run_id, "date": day, "declared_date": day, "plate": PLATE, "carrier_code": "CONLOG",
        "bulletin_number": run_id, "started_at": at(start, day), "ended_at": at(end, day), "declared_km": km,
        "origin_text": f"ORIGEM {run_id}", "destination_text": "USINA", "shift_code": "A", "passengers": 18,
        "file_sha256": "f" * 64, "file_name": "boletim.csv", "row_number": 2, **more,
    }  # fmt: skip


def span(start: str, end: str, *, day: dt.date = DAY, **more: object) -> dict:
    """A time over which a vehicle was watched."""
    return {
        "date": DAY, "plate": PLATE, "started_at": at(start, day), "ended_at": at(end, day), "source": "positions",
        **more,
    }  # fmt: skip


def dwell(start: str, end: str, km: float | None, *, day: dt.date = DAY, **more: object) -> dict:
    """A step from reading to reading over which the odometer counted while the positions stood."""
    return {
        "date": DAY, "plate": PLATE, "device_id": f"D-{PLATE}", "started_at": at(start, day), "ended_at": at(end, day),
        "counted_km": km, **more,
    }  # fmt: skip


def dwells_frame(*records: dict) -> pd.DataFrame:
    """`trips.dwell_counts`."""
    return rows(lake.DWELL_COUNTS, *records)


def trips_frame(*records: dict) -> pd.DataFrame:
    """`trips.trip_window`."""
    return rows(facts.TRIP_WINDOW, *records)


def runs_frame(*records: dict) -> pd.DataFrame:
    """`staging.declared_runs`."""
    return rows(lake.STAGING_DECLARED_RUNS, *records)


SHIFTS = rows(
    reference.SHIFTS,
    {"unit_code": "UCP", "shift_code": "A", "start_local": "07:00", "end_local": "15:20", "weekdays": "1-7"},
    {"unit_code": "UCP", "shift_code": "C", "start_local": "23:40", "end_local": "07:00", "weekdays": "1-7"},
)
CONTRACTS = rows(
    reference.CONTRACTS,
    {"contract_id": "CT1", "carrier_code": "CONLOG", "unit_code": "UCP", "valid_from": "2025-01-01"},
    {
        "contract_id": "CT2", "carrier_code": "CONLOG", "unit_code": "UCP", "trip_tolerance_pct": "5",
        "trip_tolerance_km": "0.5", "day_tolerance_pct": "20", "valid_from": "2025-01-01",
    },
)  # fmt: skip
VEHICLES = pd.DataFrame({
    "plate": [PLATE, OTHER], "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1", "timezone": ZONE,
    "status": "ativo", "seats": 46, "vehicle_class": "micro",
})  # fmt: skip

REGISTERED = rows(reference.DEVICES, *({"device_id": f"D-{plate}", "plate": plate} for plate in VEHICLES["plate"]))


def repaired(runs: pd.DataFrame, trips: pd.DataFrame) -> pd.DataFrame:
    """Runs on the day on which they took place."""
    return repair_dates(runs, trips, SHIFTS, on_their_days(VEHICLES, runs), DEFAULT_PARAMETERS)


def on_their_days(vehicles: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The same vehicles on the DATA of each run."""
    return pd.concat([vehicles.assign(operational_date=day) for day in sorted({DAY, *runs["declared_date"]})])


def audit(trips: list[dict], runs: list[dict], spans: list[dict] | None = None, **changed: object) -> AuditDay:
    """The day's context; trips are paid 4.90 BRL per km, runs 5.00; a vehicle is watched all day unless `spans` say."""
    trip_table, run_table = trips_frame(*trips), runs_frame(*runs)
    matched = repaired(run_table, trip_table)
    plates = {row["plate"] for row in (*trips, *runs)}
    whole = [span("00:00", "24:00", plate=plate) for plate in sorted(plates)]
    watched = whole if spans is None else spans
    seen = sorted({row["plate"] for row in watched if row["source"] == "positions"})
    owned = pd.concat([VEHICLES.assign(operational_date=day) for day in sorted({DAY, *matched["operational_date"]})])
    foreign = set(matched.loc[of_another_carrier(matched, owned), "declared_run_id"])
    repeats = duplicates(matched, foreign, DEFAULT_PARAMETERS)
    offsets = minute_offsets(matched, trip_table, DEFAULT_PARAMETERS)
    devices = changed.get("devices") or devices_of([], [{"device_id": f"D-{plate}", "plate": plate} for plate in seen])
    context = AuditDay(
        day=DAY,
        trips=trip_table,
        runs=matched,
        matching=match(
            trip_table, shifted_for_matching(matched, offsets, devices.health), CONTRACTS, DEFAULT_PARAMETERS,
            set(repeats["later"]),
            trips_of_next_day(matched, trip_table, DEFAULT_PARAMETERS),
            writers(matched, foreign, repeats),
        ),
        clock_offsets=offsets,
        legs=empty_frame(lake.LEGS),
        spans=rows(lake.OBSERVED_SPANS, *watched),
        dwells=empty_frame(lake.DWELL_COUNTS),
        devices=devices,
        registered=REGISTERED,
        costs=costs_frame(*({"trip_id": row["trip_id"]} for row in trips)),
        notes=empty_frame(lake.STAGING_NOTES),
        vehicles=VEHICLES,
        contracts=CONTRACTS,
        exceptions=empty_frame(reference.EXCEPTIONS),
        run_rates=pd.DataFrame({
            "declared_run_id": run_table["declared_run_id"],
            "rate_brl_per_km": costs_frame(*({"trip_id": row["declared_run_id"], "rate_brl_per_km": "5.00"}
                                             for row in runs))["rate_brl_per_km"],
        }),
        parameters=DEFAULT_PARAMETERS,
        foreign_runs=foreign,
    )  # fmt: skip
    return replace(context, **changed)  # type: ignore[arg-type]


def visit_leg(leg_id: str, start: str, end: str, km: float | None = 20.0, **more: object) -> dict:
    """A movement of a visit report that counts; local times."""
    return {
        "leg_id": leg_id, "trip_id": leg_id, "operational_date": DAY, "plate": PLATE, "is_maintenance_driver": False,
        "started_at": at(start), "ended_at": at(end), "km_reported": km, "passengers_readings": 0, "gaps": 0,
        "is_short": False, "is_start_in_gap": False, "is_end_in_gap": False, "source": "visit_report",
        "origin_address": "Garagem", "destination_address": "Usina", "file_sha256": "a" * 64, "row_number": 8,
        "device_id": "D1", **more,
    }  # fmt: skip


def measured_leg(leg_id: str, start: str, end: str, origin: tuple, destination: tuple, **more: object) -> dict:
    """A movement by positions between two places (latitude, longitude)."""
    ends = {"origin_latitude": origin[0], "origin_longitude": origin[1], "destination_latitude": destination[0],
            "destination_longitude": destination[1]}  # fmt: skip
    own = {"source": "positions", "km_reported": None, "file_sha256": None, "row_number": None, "origin_address": None,
           "destination_address": None}  # fmt: skip
    return visit_leg(leg_id, start, end, None, **{**own, **ends, **more})


def devices_of(events: list[dict] | None = None, health: list[dict] | None = None) -> DeviceDay:
    """What a day shows of the devices; records of a device start from a sound one."""
    sound = {
        "operational_date": DAY, "positions": 900, "located": 900, "readings": 900, "has_ignition": True, "issues": [],
        "run_id": "r", "updated_at": at("00:00"),
    }  # fmt: skip
    usual = {"operational_date": DAY, "plate": PLATE, "is_lone": False, "odometer_from_km": 1000.0}
    return DeviceDay(
        rows(lake.ODOMETER_EVENTS, *({**usual, **record} for record in events or ())),
        rows(facts.DEVICE_HEALTH, *({**sound, "plate": PLATE, **record} for record in health or ())),
    )


def costs_frame(*records: dict) -> pd.DataFrame:
    """`fact.trip_costs`, priced at 4.90 unless a record says otherwise."""
    usual = {
        "operational_date": DAY, "contract_id": "CT1", "rate_brl_per_km": "4.90", "cost_status": "priced",
        "parameters_version": "p", "run_id": "r", "updated_at": at("00:00"),
    }  # fmt: skip
    return rows(facts.TRIP_COSTS, *({**usual, **record} for record in records))


def found(context: AuditDay, rule_id: str) -> list[dict]:
    """Findings of a rule as records, evidence read."""
    candidates = DAY_RULES[rule_id].find(context)
    if not candidates:  # half of what is asked for; to complete none takes as long as to complete one
        return []
    findings = complete(context, candidates, DAY_RULES)
    return [{**record, "evidence": json.loads(record["evidence"])} for record in findings.to_dict("records")]


def reasons_not_tested(context: AuditDay | AuditCycle, *rule_ids: str) -> dict[str, str]:
    """Why rules of the day or of the cycle are not tested, by rule; of these alone, or of all where none is named.

    All 34 rules of a day of two trips take 0.3 s, of which a test asks for one or two.
    """
    rules = CYCLE_RULES if isinstance(context, AuditCycle) else DAY_RULES
    chosen = {rule_id: rules[rule_id] for rule_id in rule_ids} or rules
    return dict(rules_not_tested(context, chosen)[["rule_id", "reason_pt"]].to_numpy())
