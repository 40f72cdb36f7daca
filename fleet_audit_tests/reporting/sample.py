"""A made-up fleet for the report tests: days of trips, costs, matches and findings that agree with each other."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.incidents.rows import day_incidents
from fleet_audit.logic.costs.amounts import vehicle_cycle_amounts, vehicle_day_amounts
from fleet_audit.logic.costs.billing_lines import CycleDays, billing_lines
from fleet_audit.logic.costs.waterfall import waterfall_rows
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.sheets.waterfall import cycle_facts
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table

DAY = dt.date(2025, 6, 10)
GENERATED_AT = dt.datetime(2025, 6, 11, 8, 41, tzinfo=dt.UTC)
UNITS = (
    ("UCP", "Conquista do Pontal", "America/Sao_Paulo", -22.37, -52.11),
    ("UAT", "Alcídia", "America/Sao_Paulo", -22.52, -52.30),
    ("USL", "Santa Luzia", "America/Campo_Grande", -21.80, -53.90),
)
CARRIERS = (
    ("CONLOG", "Concórdia Logística"),
    ("VIAOESTE", "Viação Oeste Paulista"),
    ("TRANSUL", "Transul Fretamento & Turismo"),
    ("RODA", "Roda Viva"),
)
_CENT = Decimal("0.01")
_AMOUNTS = {
    "D01": "disallowed_brl",
    "D02": "disallowed_brl",
    "D04": "in_favour_brl",
    "D05": "disallowed_brl",
    "D06": "held_brl",
    "D07": "in_favour_brl",
}
_TRACE = {"run_id": "run", "updated_at": GENERATED_AT}
_EXPLAIN = {
    "D01": "A ata {run} declara {a} km, mas o veículo percorreu {b} km no mesmo horário.",
    "D02": "No dia {day} o veículo declarou {a} km e percorreu {b} km.",
    "D04": "A ata {run} declara {a} km, menos que os {b} km percorridos; a diferença favorece a transportadora.",
    "D05": "A ata {run} declara {a} km, mas o veículo foi observado parado durante todo o período.",
    "D06": "A ata {run} declara {a} km, mas nenhuma viagem medida corresponde a ela.",
    "D07": "O veículo percorreu {b} km em serviço sem ata correspondente.",
    "G03": "A viagem tem uma lacuna de telemetria de 14 minutos; os km foram lidos no hodômetro.",
    "T03": "A viagem de serviço começou fora da tolerância de todos os turnos da unidade.",
}


def build(table: Table, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of a table by the column dictionary; columns that a row lacks are null."""
    names = {name for row in rows for name in row}
    frame = pd.DataFrame(
        [{name: row.get(name) for name in names} for row in rows], columns=sorted(names) or table.column_names
    )
    for name, value in _TRACE.items():
        if name in table.column_names and name not in frame:
            frame[name] = value
    return conform(frame, table)


def fleet(vehicles: int = 40, days: int = 1, trips_a_day: int = 5, seed: int = 7, first: dt.date = DAY) -> Frames:
    """Frames of a whole fleet over some days, with every tenth vehicle-day silent or partial."""
    maker = _Maker(random.Random(seed))
    plates = [
        f"{chr(65 + i % 26)}{chr(65 + i // 26 % 26)}C{i % 10}{chr(65 + i % 10)}{i % 100:02d}" for i in range(vehicles)
    ]
    maker.reference(plates, first)
    for offset in range(days):
        for index, plate in enumerate(plates):
            maker.vehicle_day(plate, index, first + dt.timedelta(days=offset), trips_a_day)
    return maker.frames()


def settled(frames: Frames, cycle: Cycle) -> Frames:
    """The frames with the facts of the cycle that the pipeline computes from them."""
    names = ("units", "carriers", "vehicles", "contracts", "routes", "fixed_costs")
    known = Reference.of({name: getattr(frames, name) for name in names})
    days = CycleDays(frames.trips, frames.trip_costs, frames.fixed_cost_days, frames.coverage)
    return replace(
        frames,
        billing_lines=_traced(billing_lines(days, known, cycle)),
        vehicle_cycle_amounts=_traced(
            vehicle_cycle_amounts(
                cycle, frames.vehicle_day_amounts, frames.findings, waterfall_rows(cycle_facts(frames))
            )
        ),
    )


def with_day_amounts(frames: Frames) -> Frames:
    """The frames with the incidents of each of their days, and the four amounts of each vehicle-day."""

    def of_day(frame: pd.DataFrame, day: dt.date) -> pd.DataFrame:
        return frame[frame["operational_date"] == day]

    amounts, findings, incidents = [], [], []
    for day in sorted(frames.coverage["operational_date"].unique()):
        matches, held = of_day(frames.matches, day), of_day(frames.held_runs, day)
        found = with_roots(of_day(frames.findings, day), matches)
        findings.append(found)
        incidents.append(day_incidents(found, matches, held))
        amounts.append(vehicle_day_amounts(day, found, matches, held))
    return replace(
        frames,
        findings=pd.concat(findings, ignore_index=True),
        incidents=_traced(pd.concat(incidents, ignore_index=True)),
        vehicle_day_amounts=_traced(pd.concat(amounts, ignore_index=True)),
    )


def _traced(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**_TRACE)


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: []
            for name in (
                "trips",
                "trip_costs",
                "fixed_cost_days",
                "matches",
                "held_runs",
                "findings",
                "trip_scores",
                "declared_runs",
                "coverage",
                "km_ledger",
                "legs",
                "units",
                "carriers",
                "vehicles",
                "pois",
                "routes",
                "km_plan",
                "contracts",
                "tariffs",
                "fixed_costs",
            )
        }

    def reference(self, plates: list[str], first: dt.date) -> None:
        rows = self.rows
        for code, name, zone, lat, lon in UNITS:
            rows["units"].append({"unit_code": code, "name": name, "timezone": zone})
            rows["pois"] += [
                {
                    "poi_id": f"{code}-U",
                    "unit_code": code,
                    "name": f"Usina {name}",
                    "kind": "usina",
                    "latitude": lat,
                    "longitude": lon,
                    "radius_m": 900.0,
                },
                {
                    "poi_id": f"{code}-G",
                    "unit_code": code,
                    "name": f"Garagem {name}",
                    "kind": "garagem",
                    "latitude": lat - 0.15,
                    "longitude": lon - 0.06,
                    "radius_m": 300.0,
                },
                {
                    "poi_id": f"{code}-F",
                    "unit_code": code,
                    "name": "Frente 024",
                    "kind": "frente",
                    "latitude": lat + 0.10,
                    "longitude": lon + 0.14,
                    "radius_m": 2000.0,
                },
            ]
            rows["routes"] += [
                {"route_code": f"{code}1", "unit_code": code, "name": f"Garagem - Usina {name}"},
                {"route_code": f"{code}2", "unit_code": code, "name": f"Frente 024 - Garagem {name}"},
            ]
        rows["carriers"] += [{"carrier_code": code, "name": name} for code, name in CARRIERS]
        for index, (code, _) in enumerate(CARRIERS):
            contract = {"contract_id": f"CT-{index}", "valid_from": dt.date(2025, 1, 1)}
            kind = ("contrato", "spot")[index % 2]
            rows["contracts"].append(
                {**contract, "carrier_code": code, "unit_code": UNITS[0][0], "kind": kind, "deadhead_rule": "unpaid"}
            )
            rows["tariffs"].append({**contract, "tariff_id": f"T-{index}", "rate_brl_per_km": Decimal("4.9000")})
        for index, plate in enumerate(plates):
            rows["vehicles"].append(
                {
                    "plate": plate,
                    "fleet_number": str(37000 + index),
                    "carrier_code": CARRIERS[index % 4][0],
                    "unit_code": UNITS[index % 3][0],
                    "contract_id": f"CT-{index % 4}",
                    "status": "ativo",
                    "seats": 46,
                    "vehicle_class": ("onibus", "onibus", "micro", "van")[index % 4],
                    "default_area": "IND",
                    "valid_from": dt.date(2025, 1, 1),
                }
            )
            rows["fixed_costs"].append(
                {
                    "contract_id": f"CT-{index % 4}",
                    "plate": plate,
                    "amount_brl_per_month": Decimal("41657.80"),
                    "valid_from": dt.date(2025, 1, 1),
                }
            )
            rows["km_plan"].append(
                {
                    "cycle_start": first,
                    "plate": plate,
                    "route_code": UNITS[index % 3][0] + "1",
                    "planned_km": Decimal("4200.00"),
                    "planned_trips": 120,
                }
            )

    def vehicle_day(self, plate: str, index: int, day: dt.date, trips: int) -> None:
        unit, carrier = UNITS[index % 3][0], CARRIERS[index % 4][0]
        who = {"operational_date": day, "plate": plate, "unit_code": unit, "carrier_code": carrier}
        self.rows["fixed_cost_days"].append(
            {
                "operational_date": day,
                "plate": plate,
                "contract_id": f"CT-{index % 4}",
                "amount_brl": Decimal("1343.80"),
                "parameters_version": "p",
            }
        )
        is_silent = (index + day.day) % 17 == 3
        status = "silent" if is_silent else "partial" if (index + day.day) % 13 == 2 else "complete"
        self.rows["coverage"].append(
            {
                **who,
                "status": status,
                "visit_legs": 0,
                "observed_h": {"silent": None, "partial": 9.5, "complete": 23.8}[status],
                "positions": 0 if is_silent else 2871,
            }
        )
        if is_silent:
            self.rows["km_ledger"].append({**who})
            self._unlinked(who, carrier)
            return
        total = sum((self._trip(who, number, index) for number in range(trips)), Decimal(0))
        self.rows["km_ledger"].append(
            {
                **who,
                "odometer_delta_km": total + Decimal("1.30"),
                "service_km": total,
                "deadhead_km": Decimal(0),
                "maintenance_km": Decimal(0),
                "yard_km": Decimal("1.30"),
                "unknown_km": Decimal(0),
                "gap_km": Decimal(0),
                "residual_km": Decimal(0),
                "uncertainty_km": Decimal("0.80"),
                "is_balanced": True,
            }
        )

    def _trip(self, who: dict[str, Any], number: int, index: int) -> Decimal:
        chance, unit, rows = self.chance, who["unit_code"], self.rows
        plate, day = who["plate"], who["operational_date"]
        trip_id, run_id = f"t-{plate}-{day:%m%d}-{number}", f"r-{plate}-{day:%m%d}-{number}"
        purpose = "yard" if number == 4 and index % 3 == 0 else "deadhead" if number == 3 else "service"
        km = Decimal("0.40") if purpose == "yard" else Decimal(chance.randint(1800, 4800)) / 100
        start = dt.datetime.combine(day, dt.time(9), dt.UTC) + dt.timedelta(
            minutes=190 * number + chance.randint(0, 30)
        )
        end = start + dt.timedelta(minutes=float(km) * 1.6 + 4)
        ends = [("G", "U"), ("U", "F"), ("F", "G"), ("G", "G"), ("G", "U")][number % 5]
        area = "AGR" if "F" in ends else "IND"
        rows["trips"].append(
            {
                **who,
                "trip_id": trip_id,
                "contract_id": f"CT-{index % 4}",
                "device_id": f"dev{index}",
                "driver_id": f"drv-{index * 7919 + number // 2:012x}",
                "started_at": start,
                "ended_at": end,
                "origin_poi_id": f"{unit}-{ends[0]}",
                "destination_poi_id": None if chance.random() < 0.06 else f"{unit}-{ends[1]}",
                "route_code": {("G", "U"): f"{unit}1", ("F", "G"): f"{unit}2"}.get(ends),
                "shift_code": ("A", "A", "B", None, "C")[number % 5],
                "area": area,
                "purpose": purpose,
                "km_odometer": km,
                "km_gps": km,
                "km_measured": km,
                "km_method": "odometer",
                "coverage_pct": Decimal(96),
                "km_uncertainty": Decimal("0.2"),
                "evidence_grade": chance.choices("ABC", (80, 15, 5))[0],
                "source": "positions",
                "is_end_in_gap": False,
                "legs": 2,
                "parameters_version": "p",
            }
        )
        rows["legs"].append(self._leg(trip_id, who, start, end, ends))
        rate = Decimal("5.35") if area == "AGR" else Decimal("4.8375" if index % 9 == 0 else "4.90")
        is_billable, is_priced = purpose == "service", chance.random() > 0.02
        rows["trip_costs"].append(
            {
                "trip_id": trip_id,
                "operational_date": day,
                "contract_id": f"CT-{index % 4}",
                "billable_km": km if is_billable else Decimal(0),
                "parameters_version": "p",
                "rate_brl_per_km": rate if is_billable and is_priced else None,
                "variable_cost_brl": (km * rate).quantize(_CENT, ROUND_HALF_UP)
                if is_billable and is_priced
                else None
                if is_billable
                else Decimal(0),
                "cost_status": "not_billable" if not is_billable else "priced" if is_priced else "no_tariff",
                "vehicle_class": ("onibus", "onibus", "micro", "van")[index % 4],
                "billing_area": area if is_billable else "IND",
            }
        )
        deduction = self._match(who, trip_id, run_id, km, start, end, rate) if is_billable else 0
        rows["trip_scores"].append(
            {
                "trip_id": trip_id,
                "operational_date": day,
                "contributions": json.dumps({"start": 100, **({f"D01:{trip_id}": -deduction} if deduction else {})}),
                "compliance_score": Decimal(100 - deduction),
            }
        )
        return km

    def _leg(
        self, trip_id: str, who: dict[str, Any], start: dt.datetime, end: dt.datetime, ends: tuple[str, str]
    ) -> dict[str, Any]:
        at = {poi["poi_id"]: (poi["latitude"], poi["longitude"]) for poi in self.rows["pois"]}
        near = [tuple(c + self.chance.uniform(-0.008, 0.008) for c in at[f"{who['unit_code']}-{end}"]) for end in ends]
        return {
            "leg_id": f"l{trip_id}",
            "trip_id": trip_id,
            "operational_date": who["operational_date"],
            "plate": who["plate"],
            "started_at": start,
            "ended_at": end,
            "origin_latitude": near[0][0],
            "origin_longitude": near[0][1],
            "destination_latitude": near[1][0],
            "destination_longitude": near[1][1],
            "destination_address": "Estrada Vicinal SPV-024, Teodoro Sampaio",
            "source": "positions",
            "is_maintenance_driver": False,
            "passengers_readings": 0,
            "gaps": 0,
            "is_short": False,
            "is_start_in_gap": False,
            "is_end_in_gap": False,
        }

    def _match(
        self,
        who: dict[str, Any],
        trip_id: str,
        run_id: str,
        km: Decimal,
        start: dt.datetime,
        end: dt.datetime,
        rate: Decimal,
    ) -> int:
        chance, draw = self.chance, self.chance.random()
        match = {**who, "match_id": f"m-{trip_id}", "measured_km": km, "trip_ids": [trip_id]}
        if draw < 0.03:
            self.rows["matches"].append({**match, "declared_run_ids": [], "kind": "measured_only"})
            return self._finding(who, "D07", "M", trip_id, None, km, rate, Decimal(0), km)
        factor = Decimal("1.31") if draw < 0.06 else Decimal("0.80") if draw < 0.08 else Decimal(1)
        declared = (km * factor).quantize(Decimal(1), ROUND_HALF_UP)
        self._run(who, run_id, declared, start, end)
        difference = declared - km
        percent = (difference * 100 / km).quantize(_CENT, ROUND_HALF_UP)
        exceeds = abs(difference) > max(km / 10, Decimal(1))
        self.rows["matches"].append(
            {
                **match,
                "declared_run_ids": [run_id],
                "kind": "one_to_one",
                "declared_km": declared,
                "difference_km": difference,
                "difference_pct": percent,
                "is_exceeding": exceeds,
            }
        )
        if exceeds:
            rule, severity = ("D01", "H") if difference > 0 else ("D04", "M")
            if rule == "D01" and chance.random() < 0.5:
                self._finding(who, "D02", "C", None, None, abs(difference), rate, declared, km)
            return self._finding(who, rule, severity, trip_id, run_id, abs(difference), rate, declared, km)
        if chance.random() < 0.04:
            return self._finding(who, chance.choice(("G03", "T03")), "L", trip_id, None, None, rate, declared, km)
        return 0

    def _unlinked(self, who: dict[str, Any], carrier: str) -> None:
        run_id, km = f"r-{who['plate']}-{who['operational_date']:%m%d}-p", Decimal(31)
        start = dt.datetime.combine(who["operational_date"], dt.time(9), dt.UTC)
        self._run(who, run_id, km, start, start + dt.timedelta(hours=1))
        self.rows["matches"].append(
            {
                **who,
                "match_id": f"m-{run_id}",
                "declared_km": km,
                "trip_ids": [],
                "declared_run_ids": [run_id],
                "kind": "declared_only",
            }
        )
        is_seen = len(self.rows["held_runs"]) % 2 == 0
        reason, rule, severity = ("phantom", "D05", "C") if is_seen else ("no_data", "D06", "H")
        self.rows["held_runs"].append(
            {**who, "declared_run_id": run_id, "declared_km": km, "brl_at_rate": Decimal("151.90"), "reason": reason}
        )
        self._finding(who, rule, severity, None, run_id, km, Decimal("4.90"), km, Decimal(0))

    def _run(self, who: dict[str, Any], run_id: str, km: Decimal, start: dt.datetime, end: dt.datetime) -> None:
        self.rows["declared_runs"].append(
            {
                **who,
                "declared_run_id": run_id,
                "bulletin_number": run_id[-6:],
                "declared_date": who["operational_date"],
                "started_at": start,
                "ended_at": end,
                "declared_km": km,
                "is_date_repaired": False,
                "file_sha256": "f",
                "file_name": "boletim.csv",
                "row_number": 1,
            }
        )

    def _finding(
        self,
        who: dict[str, Any],
        rule: str,
        severity: str,
        trip_id: str | None,
        run_id: str | None,
        km: Decimal | None,
        rate: Decimal,
        declared: Decimal,
        measured: Decimal,
    ) -> int:
        text = _EXPLAIN[rule].format(
            run=run_id,
            a=f"{declared:.2f}".replace(".", ","),
            b=f"{measured:.2f}".replace(".", ","),
            day=f"{who['operational_date']:%d/%m/%Y}",
        )
        number, amount = len(self.rows["findings"]), _AMOUNTS.get(rule)
        brl = None if km is None else (km * rate).quantize(_CENT, ROUND_HALF_UP)
        self.rows["findings"].append(
            {
                **who,
                "finding_id": f"f{number:05d}",
                "rule_id": rule,
                "rule_version": "1",
                "severity": severity,
                "trip_id": trip_id,
                "declared_run_id": run_id,
                "km_at_stake": km,
                "brl_at_stake": brl,
                "amount": amount,
                **({} if amount is None else {amount: brl}),
                "confidence": 0.95,
                "evidence": json.dumps({"trip": trip_id, "run": run_id}),
                "status": "excepted" if number % 11 == 10 else "open",
                "explanation_pt": text,
            }
        )
        return {"C": 40, "H": 20, "M": 8, "L": 2}[severity]

    def frames(self) -> Frames:
        tables = {table.name: table for table in (*facts.FACTS, *reference.TABLES, lake.LEGS)}
        tables["coverage"] = facts.COVERAGE
        frames = Frames(**{name: build(tables[name], rows) for name, rows in self.rows.items()})
        return with_day_amounts(frames)
