"""Contests of findings as the pipeline reads them: which findings were reversed, and what became of each contest.

Who contests and decides is the business of `access`; texts and people are not read here.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import CONTEST_OUTCOMES
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.warehouse import Warehouse

# a finding over a cycle keeps its id while its day moves with the last day that was run: the contest has an old one
_REVERSED = """
    select finding_id, coalesce(found.operational_date, contest.operational_date) as operational_date,
      found.cycle_start, contest.amount, contest.decided_at,
      (contest.decided_at at time zone :zone)::date as decided_date
    from auth.contests as contest left join fact.findings as found using (finding_id)
    where contest.status = 'reversed' order by finding_id
"""
_OUTCOMES = "select finding_id, operational_date, rule_id, carrier_code, unit_code, status from auth.contests"


def reversed_findings(warehouse: Warehouse) -> pd.DataFrame:
    """finding_id, operational_date, cycle_start, amount, decided_at and local decided_date of each reversed finding.

    The day is that of the finding as it stands; that of its contest where it is not found any more.
    """
    return warehouse.read(_REVERSED, {"zone": PARTITION_ZONE})


def contest_outcomes(warehouse: Warehouse, run_id: str = "") -> pd.DataFrame:
    """Rows of `fact.contest_outcomes` as of now; `run_id` is the run that writes them."""
    rows = warehouse.read(_OUTCOMES)
    return conform(rows.assign(run_id=run_id, updated_at=pd.Timestamp(0, tz="UTC")), CONTEST_OUTCOMES)
