"""What a run counts and tests: the rows of its own cycles, however many cycles there are before."""

from __future__ import annotations

import datetime as dt

from fleet_audit.marts.model import Days
from fleet_audit.marts.publishing import publish
from fleet_audit.marts.testing import failures, failures_by_test
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.marts.conftest import DAY, NEXT

CYCLE, CYCLE_BEFORE = dt.date(2025, 5, 16), dt.date(2025, 3, 16)
EARLIER = DAY - dt.timedelta(days=60)


def test_a_run_counts_and_tests_the_rows_of_its_cycles_only(sample, fill, run, query, postgres_url, project):
    fill("fact.vehicle_day_coverage", {"operational_date": EARLIER, "unit_code": "U1", "carrier_code": "C1"})
    run(EARLIER)
    run(DAY, NEXT)
    model = project.model("cycle_vehicles")
    of_run = Days(DAY, NEXT, (CYCLE,))
    assert [publish(postgres_url, project, model, days).rows for days in (None, of_run)] == [2, 1]
    query("update mart.vehicle_days set plate = null")
    test = next(one for one in model.tests if one.kind == "not_null" and one.column == "plate")
    each = [None, Days(DAY, NEXT, (CYCLE_BEFORE, CYCLE)), of_run]
    with engine_of(postgres_url).connect() as connection:
        found = [failures(connection, project, model, test, days) for days in each]
        of_all = [failures_by_test(connection, project, model, model.tests, days)[test.name] for days in each]
    assert found[0].count == found[1].count > found[2].count > 0
    assert of_all == found
