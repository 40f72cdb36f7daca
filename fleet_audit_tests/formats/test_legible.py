"""What is legible in a file of which nothing is accepted: its days, and the vehicles or devices beside them."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.formats.legible import LegibleText, read_legible
from fleet_audit.formats.parsed import Limits

BEFORE, DAY, NEXT = (dt.date(2025, 6, day) for day in (9, 10, 11))
DEVICE, PLATE = "860000000000001", "AAA1A11"
NOON = 1749567600  # 10 June, 12:00 in São Paulo


def _read(kind: str, *lines: str, today: dt.date = NEXT) -> LegibleText:
    return read_legible(kind, "\n".join(lines).encode(), today, Limits(), {DEVICE: DEVICE, PLATE: PLATE})


@pytest.mark.parametrize(
    ("kind", "header", "row", "days"),
    [
        ("telemetry", "recebido,dev,gps", f"2025-06-11T03:10:00,{DEVICE},2025-06-10T09:00:00", {DAY, NEXT}),
        ("telemetry", "recebido,dev,gps", f"2025-06-11T03:10:00,{DEVICE},{NOON}", {DAY, NEXT}),
        ("bulletin", "EMISSAO,PLACA,DATA", f"11/06/2025,{PLATE},10/06/2025", {DAY, NEXT}),
        ("bulletin", "CONTRATO,PLACA,DATA", f"01/02/2024,{PLATE},10/06/2025", {DAY}),
        ("bulletin", "DATA,PLACA,VALIDADE", f"10/06/2025,{PLATE},31/12/2025", {DAY}),
    ],
    ids=["received first", "received, and an epoch", "issued first", "a contract's day", "a day to come"],
)
def test_each_day_of_a_row_may_be_the_one_that_was_driven(kind: str, header: str, row: str, days: set[dt.date]) -> None:
    """The first day counted alone: that of receipt or issue hid the day of the run, which was then accused."""
    text = _read(kind, header, row)
    assert {day for day, _ in text.named} == text.days == days


@pytest.mark.parametrize(
    ("kind", "today", "days"),
    [
        ("telemetry", NEXT, {DAY}),
        ("telemetry", DAY + dt.timedelta(days=62), {DAY}),
        ("telemetry", DAY + dt.timedelta(days=63), set()),
        ("telemetry", BEFORE, set()),
        ("bulletin", NEXT, set()),
        ("visit_report", NEXT, set()),
    ],
    ids=["the day after", "two months later", "later", "before", "a telephone number", "of a report"],
)
def test_a_number_is_an_instant_only_in_telemetry_and_near_its_arrival(
    kind: str, today: dt.date, days: set[dt.date]
) -> None:
    assert _read(kind, "NOME,TELEFONE", f"Jose,{NOON}", today=today).days == days


def test_rows_like_those_that_name_a_vehicle_are_of_vehicles_that_cannot_be_read() -> None:
    spoilt = ["dev,when,km", f"{DEVICE},2025-06-10T10:00:00,1", "8.6E+14,2025-06-09T10:00:00,1"]
    assert _read("telemetry", *spoilt).unnamed == {BEFORE}
    assert _read("telemetry", *spoilt[::2]).unnamed == set()  # nothing beside which it could be compared
    titled = ["Emitido em,11/06/2025,,,", "FROTA,DATA,KM,SAIDA,CHEGADA", f"{PLATE},10/06/2025,30,06:00,07:00"]
    assert _read("bulletin", *titled).unnamed == set()
    assert _read("visit_report", *titled, "x,09/06/2025,30,06:00,07:00").unnamed == set()


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("telemetry", [f"{DEVICE},2025-06-05T0{hour}:00:00" for hour in range(9)]),
        ("bulletin", [f"{PLATE},05/06/2025"]),
        ("bulletin", [f"{PLATE},06/05/2025", f"{PLATE},05/28/2025"]),
    ],
    ids=["ISO", "day first", "month first"],
)
def test_the_stamp_of_an_export_does_not_decide_the_order_of_the_days_below_it(kind: str, rows: list[str]) -> None:
    """One stamp made positions of 5 June those of 6 May: the day that our own fault hid was accused."""
    plain, stamped = (_read(kind, *head, *rows, today=dt.date(2025, 6, 20)) for head in ([], ["06/13/2025 08:00,x"]))
    assert stamped.named == plain.named
    assert dt.date(2025, 6, 5) in {day for day, _ in stamped.named}


@pytest.mark.parametrize(
    ("kind", "head"),
    [("visit_report", f"Placa,{PLATE},Emitido em,06/10/2025"), ("bulletin", f"{PLATE},06/05/2025,A,B")],
)
def test_rows_below_the_only_known_plate_show_the_order_of_its_days(kind: str, head: str) -> None:
    """28 and 29 May were no days, and 5 June was 6 May: rows without a plate did not count."""
    rows = [f"x,{day}/2025,A,B" for day in ("05/28", "05/29", "06/05")]
    read = _read(kind, head, *rows, today=dt.date(2025, 6, 20)).days
    assert {dt.date(2025, 5, 28), dt.date(2025, 5, 29), dt.date(2025, 6, 5)} <= read
