"""Explains one id: looks for a finding, a trip, then a billing line, and returns the chain of it as text.

The wording is in `reporting.documents.explanation`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.dossiers.case_reader import finding_case, trip_case
from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.logic.costs.billing_lines import trips_of_line
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.reporting.documents.explanation import BillingLine, explain_case, explain_line
from fleet_audit.reporting.drawing.track import Track
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.schema import facts, lake
from fleet_audit.storage.lake import one_of

_KINDS = """
    select 'finding' as kind from fact.findings where finding_id = :id
    union all select 'trip' from fact.trips where trip_id = :id
    union all select 'line' from fact.billing_lines where billing_line_id = :id
"""


def explain(stores: Installation, any_id: str) -> str:
    """The chain R$ → km → legs → positions → clause. Raises PermanentError: no finding, trip or line has the id."""
    kinds = list(stores.warehouse().read(_KINDS, {"id": any_id})["kind"])
    if "finding" in kinds:
        return explain_case(finding_case(stores, any_id))
    if "trip" in kinds:
        return explain_case(trip_case(stores, any_id))
    if "line" in kinds:
        return explain_line(_billing_line(stores, any_id))
    raise PermanentError(
        f"{any_id!r} is the id of no finding, trip or billing line; the reports, fact.findings, fact.trips and "
        "fact.billing_lines list them."
    )


def _billing_line(stores: Installation, line_id: str) -> BillingLine:
    warehouse = stores.warehouse()
    found = warehouse.read("select * from fact.billing_lines where billing_line_id = :id", {"id": line_id})
    (line,) = records(found)
    cycle = cycle_of(line["cycle_start"], stores.settings().closing_day)
    days = cycle_days(cycle)
    trips = trips_of_line(
        line_id, found, warehouse.read_partition(facts.TRIPS, days), warehouse.read_partition(facts.TRIP_COSTS, days)
    )
    reference = stores.reference()
    zones = reference.units.set_index("unit_code")["timezone"].dropna().to_dict()
    contracts, tariffs = reference.contracts, reference.tariffs
    return BillingLine(
        line,
        cycle,
        records(trips),
        _leg_counts(stores, trips),
        zones.get(line["unit_code"], Track.zone),
        Frames(
            units=reference.units,
            carriers=reference.carriers,
            contracts=contracts[contracts["contract_id"] == line["contract_id"]],
            tariffs=tariffs[tariffs["tariff_id"].isin(trips["tariff_id"].dropna())],
        ),
    )


def _leg_counts(stores: Installation, trips: pd.DataFrame) -> dict[str, int]:
    """Number of legs by trip_id."""
    days, ids = sorted(trips["operational_date"].unique()), sorted(trips["trip_id"])
    if not days:
        return {}
    legs = stores.lake().read_days(lake.LEGS, days, ["trip_id", "is_short"], filter=one_of("trip_id", ids))
    counts: dict[str, int] = legs[~legs["is_short"]]["trip_id"].value_counts().to_dict()
    return counts
