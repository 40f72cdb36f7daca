"""The ranking of carriers: the mart and the monthly report, to the cent and the hundredth of a per cent."""

from __future__ import annotations

import datetime as dt
import json
from decimal import ROUND_HALF_UP, Decimal

import pytest

from fleet_audit.logic.audit.score_contributions import score_contributions
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.sections.inputs import records
from fleet_audit.schema import facts, reference
from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit_tests.reporting.sample import GENERATED_AT, fleet, settled

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
_TABLES = (
    reference.UNITS, reference.CARRIERS, reference.VEHICLES, reference.ROUTES, facts.TRIPS, facts.TRIP_COSTS,
    facts.FIXED_COST_DAYS, facts.MATCHES, facts.HELD_RUNS, facts.FINDINGS, facts.INCIDENTS, facts.TRIP_SCORES,
    facts.DECLARED_RUNS, facts.KM_LEDGER, facts.VEHICLE_DAY_AMOUNTS, facts.VEHICLE_CYCLE_AMOUNTS,
)  # fmt: skip
_SAME = {  # report -> mart
    "position": "position", "score": "compliance_score", "trips": "trips", "km": "measured_km",
    "exceeding": "exceeding_groups", "exceeding_pct": "exceeding_pct", "incidents": "incidents",
    **{name: name for name in AMOUNTS}, "paid_doubtful_pct": "paid_doubtful_pct", "disallowed_pct": "disallowed_pct",
}  # fmt: skip


def _with_json(row: dict) -> dict:
    """A row whose contributions are an object, as the pipeline stores them, and not its text."""
    return {**row, "contributions": json.loads(row["contributions"])} if "contributions" in row else row


@pytest.mark.parametrize("seed", [3, 4])
def test_bi_and_the_monthly_report_rank_carriers_alike(seed, fill, run, query):
    frames = settled(fleet(24, days=4, seed=seed, first=CYCLE.start), CYCLE)
    for table in _TABLES:
        fill(table.full_name, *(_with_json(row) for row in records(getattr(frames, table.name))))
    fill(facts.COVERAGE.full_name, *records(frames.coverage))
    run(CYCLE.start, CYCLE.start + dt.timedelta(days=3))

    report = build_cycle(frames, cycle=CYCLE, generated_at=GENERATED_AT)
    grid = next(section.grid for section in report.document.sections if section.key == "ranking")
    columns = [grid.column("name"), *(grid.column(name) for name in _SAME)]
    printed = {name: values for name, *values in zip(*columns, strict=True)}
    published = {row["carrier_name"]: row for row in query("select * from mart.carrier_ranking")}
    assert {name: [row[of] for of in _SAME.values()] for name, row in published.items()} == printed
    assert len(printed) == 4
    assert sum(row["incidents"] for row in published.values()) > 0
    listed = next(section.grid for section in report.document.sections if section.key == "incidents")
    ranked = query("select incident_id from mart.top_incidents where has_amount order by position limit 50")
    assert [row["incident_id"] for row in ranked] == listed.column("incident_id")
    disallowed = [row["disallowed_brl"] for row in published.values()]
    assert sum(disallowed) == sum(frames.vehicle_cycle_amounts["disallowed_brl"]) > 0
    parts = query("select carrier_code, entry, points from mart.score_contributions where party = 'carrier'")
    made = score_contributions(frames.trips, frames.trip_scores, ["carrier_code"])
    assert {(row["carrier_code"], row["entry"], row["points"]) for row in parts} == {
        (row["carrier_code"], row["entry"], row["points"]) for row in records(made)
    }
    differing = query(
        "select 1 from mart.cycle_vehicles v left join (select plate, carrier_code, unit_code, sum(points) as points "
        "from mart.score_contributions where party = 'vehicle' group by 1, 2, 3) s "
        "using (plate, carrier_code, unit_code) where s.points is distinct from v.compliance_score"
    )
    assert not differing
    cost = dict(zip(grid.column("name"), grid.column("brl_per_km"), strict=True))
    for name, row in published.items():
        assert row["cost_brl_per_km"].quantize(Decimal("0.01"), ROUND_HALF_UP) == cost[name]
