"""The four amounts of a cycle under a scenario: rules over the whole cycle count, as in the monthly report."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.closing.audited_cycle import audited_cycle, current_amounts, cycle_amounts
from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit.rules.test_cycle import CYCLE, DAYS, a_cycle, declared, worked
from fleet_audit_tests.logic.audit.rules.test_own_past import a_past, since
from fleet_audit_tests.logic.audit_sample import PLATE, costs_frame
from fleet_audit_tests.logic.frames import rows

CLOSE = {"cycle_start": CYCLE.start, "cycle_end": CYCLE.end, "status": "final", "closed_at": "2025-06-19T12:00:00Z",
         "manifest_path": "m", "manifest_sha256": "s", "code_version": "c", "parameters_version": "p",
         "run_id": "r"}  # fmt: skip


class NoPages:
    """A lake without pages of the API."""

    def modified(self, folder):
        return {}


PAGES = NoPages()


class DaysOfCycle:
    """The tables of a cycle's days in memory, as a warehouse returns them; all others are empty."""

    def __init__(self, contests: tuple[tuple[str, str], ...] = (), **frames) -> None:
        """`contests`: id of a finding whose amount in doubt was reversed, and when."""
        self._contests, self._frames = contests, frames

    def read_partition(self, table, days):
        frame = self._frames.get(table.name, empty_frame(table))
        return frame[frame["operational_date"].isin(days)] if table.partition == "operational_date" and days else frame

    def read_dated(self, table, column, dates):
        frame = self.read_partition(table, None)
        return frame[frame[column].isin(dates)]

    def read_table(self, table):
        return self.read_partition(table, None)

    def read(self, sql, values):
        """The telemetry API answered on every day, and no row was refused but those of `refused`, of one file."""
        if "from ops.rejected_rows\nwhere file_sha256" in sql:
            columns = ["file_sha256", "file_name", "source_kind", "reason_code", "raw"]
            return pd.DataFrame(self._frames.get("refused", []), columns=columns, dtype=object)
        if "ops.rejected_rows" in sql:
            columns = ["file_sha256", "file_name", "received_at", "first_date", "last_date"]
            return pd.DataFrame([("f", "f", None, None, None)], columns=columns, dtype=object)
        if "auth.contests" not in sql:
            return pd.DataFrame({"operational_date": [], "file_sha256": [], "file_name": []}, dtype=object)
        decided = pd.DataFrame(self._contests, columns=["finding_id", "decided_at"])
        return decided.assign(amount="paid_doubtful_brl", decided_at=pd.to_datetime(decided["decided_at"], utc=True))


@pytest.mark.parametrize(("deadhead_pct", "doubtful"), [(10.0, "1367.10"), (30.0, "455.70"), (50.0, None)])
def test_another_share_of_deadhead_changes_what_is_paid_and_in_doubt(deadhead_pct: float, doubtful: str | None):
    """12 km empty on 30 km of service, at R$ 4.90: per day 9 km are beyond 10 %, 3 km beyond 30 %, none beyond 50 %."""
    trips = [row for day in DAYS for row in (worked(day), worked(day, km="12.00", purpose="deadhead"))]
    brl = {"30.00": "147.00", "12.00": "58.80"}
    paid = costs_frame(
        *({"trip_id": row["trip_id"], "billable_km": row["km_measured"], "variable_cost_brl": brl[row["km_measured"]]}
          for row in trips)
    )  # fmt: skip
    parameters = ParameterSet(tuple((dict(DEFAULT_PARAMETERS.values) | {"deadhead_pct": deadhead_pct}).items()))
    context = replace(a_cycle(trips=trips), costs=paid, parameters=parameters)
    tables = DaysOfCycle(trips=context.trips, trip_costs=context.costs)
    made = cycle_amounts(tables, CYCLE, find_in_cycle(context))
    assert sum_decimal(made["paid_doubtful_brl"]) == (None if doubtful is None else Decimal(doubtful))


def test_a_tracker_that_was_moved_shows_against_the_days_before_the_cycle():
    """In a car from the cycle's fourth day on: its past lies in the cycle before, and counts for nothing else."""
    context = a_past(since(DAYS[3], DAYS[12], kmh=1.4, stood_s=0.15))
    trips = pd.concat([context.earlier_trips, context.trips], ignore_index=True)
    warehouse = DaysOfCycle(trips=trips, trip_costs=context.costs, vehicle_day_coverage=context.coverage)
    vehicle = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1"}
    known = Reference.of({"vehicles": rows(reference.VEHICLES, vehicle), "contracts": context.contracts})
    cycle = audited_cycle(warehouse, PAGES, known, lambda day: DEFAULT_PARAMETERS, CYCLE)
    assert len(cycle.trips) == len(context.trips)
    found = find_in_cycle(cycle)
    [sentence] = found.loc[found["rule_id"] == "O07", "explanation_pt"]
    assert sentence.startswith("Indício: de 19/05/2025 a 28/05/2025, em 20 viagens de 10 dias")


def test_the_unit_of_days_that_were_not_run_yet_has_no_finding():
    """Run until 08/06; from 11/06 on the register names another unit."""
    last = dt.date(2025, 6, 8)
    days = [day for day in DAYS if day <= last]
    context = a_cycle(last, trips=[worked(day) for day in days],
                      matches=[declared(day, "30.00", "32") for day in days])  # fmt: skip
    warehouse = DaysOfCycle(trips=context.trips, trip_costs=context.costs, matches=context.matches,
                            vehicle_day_coverage=context.coverage)  # fmt: skip
    now = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1"}
    terms = rows(reference.VEHICLES, now | {"valid_to": dt.date(2025, 6, 10)},
                 now | {"unit_code": "UMS", "valid_from": dt.date(2025, 6, 11)})  # fmt: skip
    known = Reference.of({"vehicles": terms, "contracts": context.contracts})
    found = find_in_cycle(audited_cycle(warehouse, PAGES, known, lambda day: DEFAULT_PARAMETERS, CYCLE))
    assert found.loc[found["rule_id"] == "D03", ["carrier_code", "unit_code"]].to_numpy().tolist() == [
        ["CONLOG", "UCP"]
    ]


@pytest.mark.parametrize(
    ("source", "is_low", "rules"),
    [("api", True, set()), ("api", False, {"T06"}), ("bulletin", True, {"T06"})],
    ids=["incomplete", "complete", "of another source"],
)
def test_a_day_of_which_half_of_the_positions_was_refused_shows_no_missing_trip(
    source: str, is_low: bool, rules: set[str]
):
    """31 trips are planned; of the last eleven days, each seen for 12 h, no trip is known."""
    plan = rows(reference.KM_PLAN, {"cycle_start": CYCLE.start, "plate": PLATE, "planned_trips": 31})
    context = a_cycle(trips=[worked(day) for day in DAYS[:20]])
    accepted = rows(facts.DAY_ACCEPTANCE, *({"operational_date": day, "source_kind": source, "is_low": is_low}
                                            for day in DAYS[20:]))  # fmt: skip
    warehouse = DaysOfCycle(trips=context.trips, trip_costs=context.costs, day_acceptance=accepted,
                            vehicle_day_coverage=context.coverage.assign(observed_h=12.0))  # fmt: skip
    vehicle = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1"}
    known = Reference.of({"vehicles": rows(reference.VEHICLES, vehicle), "contracts": context.contracts,
                          "km_plan": plan})  # fmt: skip
    found = find_in_cycle(audited_cycle(warehouse, PAGES, known, lambda day: DEFAULT_PARAMETERS, CYCLE))
    assert set(found["rule_id"]) & {"T06"} == rules


@pytest.mark.parametrize(("refused", "rules"), [(DAYS[20:], set()), (DAYS[:3], {"T06"}), ([], {"T06"})])
def test_movements_refused_one_by_one_may_be_the_trips_that_are_missing(refused: list[dt.date], rules: set[str]):
    """Of the last eleven days no trip is known; the report of each day that was read has no movement but a refused one.

    Three of days whose trip is known may be three more trips, and excuse no eleven.
    """
    plan = rows(reference.KM_PLAN, {"cycle_start": CYCLE.start, "plate": PLATE, "planned_trips": 31})
    context = a_cycle(trips=[worked(day) for day in DAYS[:20]])
    raws = [("f", "f", "visit_report", "bad_time", f"{PLATE},{day:%d/%m/%Y},06:00,99:99") for day in refused]
    coverage = context.coverage.assign(positions=0, visit_legs=1)
    warehouse = DaysOfCycle(trips=context.trips, trip_costs=context.costs, vehicle_day_coverage=coverage, refused=raws)
    vehicle = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1"}
    known = Reference.of({"vehicles": rows(reference.VEHICLES, vehicle), "contracts": context.contracts,
                          "km_plan": plan})  # fmt: skip
    cycle = audited_cycle(warehouse, PAGES, known, lambda day: DEFAULT_PARAMETERS, CYCLE)
    assert set(find_in_cycle(cycle)["rule_id"]) & {"T06"} == rules


@pytest.mark.parametrize("is_closed", [False, True])
def test_the_amounts_of_an_open_cycle_are_those_of_its_days_and_not_of_the_last_run_of_its_rules(is_closed: bool):
    """3 km beyond 30 % of deadhead on each day since the rules of the cycle last ran, when 1.00 BRL was in doubt."""
    trips = [row for day in DAYS for row in (worked(day), worked(day, km="12.00", purpose="deadhead"))]
    brl = {"30.00": "147.00", "12.00": "58.80"}
    context = a_cycle(trips=trips)
    paid = costs_frame(
        *({"trip_id": row["trip_id"], "billable_km": row["km_measured"], "variable_cost_brl": brl[row["km_measured"]]}
          for row in trips)
    )  # fmt: skip
    stored = rows(
        facts.VEHICLE_CYCLE_AMOUNTS,
        {"cycle_start": CYCLE.start, "plate": PLATE, "carrier_code": "CONLOG", "paid_doubtful_brl": "1.00",
         "run_id": "r", "updated_at": "2025-05-20T12:00:00Z"},
    )  # fmt: skip
    closes = rows(facts.CYCLE_CLOSES, *([CLOSE] if is_closed else []))
    warehouse = DaysOfCycle(trips=context.trips, trip_costs=paid, vehicle_day_coverage=context.coverage,
                            vehicle_cycle_amounts=stored, cycle_closes=closes)  # fmt: skip
    vehicle = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "contract_id": "CT1"}
    known = Reference.of({"vehicles": rows(reference.VEHICLES, vehicle), "contracts": context.contracts})
    made = current_amounts(warehouse, PAGES, known, lambda day: DEFAULT_PARAMETERS, CYCLE)
    assert sum_decimal(made["paid_doubtful_brl"]) == Decimal("1.00" if is_closed else "1367.10")


@pytest.mark.parametrize(
    ("is_closed", "decided_at", "doubtful"),
    [
        (False, "2025-07-01T12:00:00Z", None),
        (True, "2025-06-19T12:00:00Z", None),
        (True, "2025-06-19T12:00:01Z", "1367.10"),  # an adjustment of an open cycle releases it
    ],
)
def test_a_closed_cycle_computed_again_keeps_what_was_in_doubt_at_its_close(is_closed, decided_at, doubtful):
    trips = [row for day in DAYS for row in (worked(day), worked(day, km="12.00", purpose="deadhead"))]
    brl = {"30.00": "147.00", "12.00": "58.80"}
    paid = costs_frame(
        *({"trip_id": row["trip_id"], "billable_km": row["km_measured"], "variable_cost_brl": brl[row["km_measured"]]}
          for row in trips)
    )  # fmt: skip
    context = replace(a_cycle(trips=trips), costs=paid)
    found = find_in_cycle(context)
    contests = tuple((name, decided_at) for name in found["finding_id"])
    closed = DaysOfCycle(contests, cycle_closes=rows(facts.CYCLE_CLOSES, *([CLOSE] if is_closed else [])))
    scratch = DaysOfCycle(trips=context.trips, trip_costs=context.costs)
    made = cycle_amounts(scratch, CYCLE, found, closed)
    assert sum_decimal(made["paid_doubtful_brl"]) == (None if doubtful is None else Decimal(doubtful))
