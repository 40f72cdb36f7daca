"""Computed days that a new version of a reference table asks to compute again."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.reference.publishing import Published, publish
from fleet_audit.ingest.reference.touched_days import days_of_reference, rows_of_reference
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.schema import facts, reference
from fleet_audit.sources.inbox import InboxFile
from fleet_audit_tests.integration.small_fleet import DEVICES, PAID, REFERENCE, SEEN_TWICE
from fleet_audit_tests.logic.frames import rows

DAYS = cycle_days(cycle_of(dt.date(2025, 6, 10), 16))  # 16 May to 15 June
CONTRACT = {"contract_id": "CT-1", "carrier_code": "UM", "unit_code": "UCP", "kind": "contrato",
            "deadhead_rule": "unpaid"}  # fmt: skip
AMOUNT = {"contract_id": "CT-1", "plate": PAID, "amount_brl_per_month": "1000.00"}


@pytest.fixture
def computed(arrivals):
    """A cycle that was computed under one contract with a fixed amount, and one device per vehicle."""
    at = pd.Timestamp("2025-06-16T08:00Z")
    day_rows = pd.DataFrame({"operational_date": DAYS, "computed_at": at, "code_version": "c"})
    arrivals.warehouse.replace_partition(facts.COMPUTED_DAYS, DAYS, day_rows, "r")
    devices = [{"device_id": device, "plate": plate, "valid_from": "2025-01-01"} for plate, device in DEVICES.items()]
    for table, records in (
        (reference.CONTRACTS, [{**CONTRACT, "valid_from": "2025-01-01"}]),
        (reference.FIXED_COSTS, [{**AMOUNT, "valid_from": "2025-01-01"}]),
        (reference.DEVICES, devices),
    ):
        arrivals.warehouse.replace_table(table, rows(table, *records))
    return arrivals


def read(computed, name: str, text: str) -> dict[str, pd.DataFrame]:
    content = text.encode()
    file = InboxFile("reference", f"reference/{name}.csv", len(content), computed.now, "s")
    return rows_of_reference(file, content, computed.warehouse, computed.settings, computed.now)


def touched(computed, name: str, text: str, **beside: str) -> list[tuple[dt.date, dt.date]]:
    """Of a table that arrived with others."""
    others = {key: rows for other, more in beside.items() for key, rows in read(computed, other, more).items()}
    return list(
        days_of_reference(read(computed, name, text), others, computed.warehouse, computed.settings.closing_day)
    )


def amount_from(day: str) -> str:
    return f"contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT-1,{PAID},1000,{day},\n"


def contract_from(day: str) -> str:
    return REFERENCE["contracts"].split("CT-1")[0] + f"CT-1,UM,UCP,contrato,unpaid,,,,,,{day},\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fixed_costs", amount_from("2025-05-20")),
        ("contracts", contract_from("2025-05-20")),
    ],
)
def test_a_later_beginning_touches_its_days_and_the_one_that_gets_another_cent(computed, name: str, text: str) -> None:
    """R$ 1.000,00 on 31 days: the first 25 have 32,26. R$ 870,97 on 27 days from 20 May: until 10 June, not 9 June."""
    assert touched(computed, name, text) == [
        (dt.date(2025, 5, 16), dt.date(2025, 5, 19)),
        (dt.date(2025, 6, 10), dt.date(2025, 6, 10)),
    ]


def test_a_contract_and_its_amount_that_arrive_together_touch_the_cent_that_neither_moves_alone(computed) -> None:
    """Both began on 20 May and now on the 16th: R$ 1.000,01 was stored, as 10 June kept its 32,25 + 0,01."""
    for table, record in ((reference.CONTRACTS, CONTRACT), (reference.FIXED_COSTS, AMOUNT)):
        computed.warehouse.replace_table(table, rows(table, {**record, "valid_from": "2025-05-20"}))
    texts = {"contracts": contract_from("2025-05-16"), "fixed_costs": amount_from("2025-05-16")}
    both = [(dt.date(2025, 5, 16), dt.date(2025, 5, 19)), (dt.date(2025, 6, 10), dt.date(2025, 6, 10))]
    assert [touched(computed, name, texts[name], **texts) for name in texts] == [both, both]


def test_a_run_publishes_both_tables_with_the_days_that_they_touch_together(arrivals) -> None:
    def deliver(day: str) -> Published:
        arrivals.drop("reference/contracts.csv", contract_from(day).encode())
        arrivals.drop("reference/fixed_costs.csv", amount_from(day).encode())
        arrivals.read()
        published = publish(
            ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append), "a-run"
        )
        for delivery in published.in_force.values():
            arrivals.warehouse.replace_table(delivery.table, delivery.rows)
        return published

    for name in ("vehicles", "carriers", "units"):
        arrivals.drop(f"reference/{name}.csv", REFERENCE[name].replace("CT-2", "CT-1").encode())
    deliver("2025-05-20")
    at = pd.Timestamp("2025-06-16T08:00Z")
    day_rows = pd.DataFrame({"operational_date": DAYS, "computed_at": at, "code_version": "c"})
    arrivals.warehouse.replace_partition(facts.COMPUTED_DAYS, DAYS, day_rows, "r")
    days = [*DAYS[:4], dt.date(2025, 6, 10)]
    assert deliver("2025-05-16").touched == {"contracts": days, "fixed_costs": days}


def test_an_end_beyond_the_computed_days_touches_those_that_get_another_cent(computed) -> None:
    """R$ 870,97 on the 27 days until 11 June: the first 22 have 32,26, no longer 7 to 9 June."""
    computed.warehouse.execute("delete from ops.computed_days where operational_date > '2025-06-10'")
    text = f"contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT-1,{PAID},1000,2025-01-01,2025-06-11\n"
    assert touched(computed, "fixed_costs", text) == [(dt.date(2025, 6, 7), dt.date(2025, 6, 9))]


def test_a_device_that_moves_touches_the_day_before_whose_trips_end_on_it(computed) -> None:
    first, *others = REFERENCE["devices"].splitlines()[1:]
    moved = [f"1,{PAID},2025-01-01,2025-06-12", f"1,{SEEN_TWICE},2025-06-13,", *others]
    assert first.startswith("1,")
    text = "\n".join(["device_id,plate,valid_from,valid_to", *moved, ""])
    assert touched(computed, "devices", text) == [(dt.date(2025, 6, 12), dt.date(2025, 6, 15))]
