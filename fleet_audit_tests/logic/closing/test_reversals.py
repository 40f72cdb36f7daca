"""Adjustments of reversed findings: what was kept is released once, whatever late data have paid meanwhile."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fleet_audit.logic.closing.reversals import ReversalInputs, reversal_adjustments
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import ADJUSTMENTS, FINDINGS, MATCHES
from fleet_audit_tests.logic.frames import rows

D = Decimal
DAY, MAY = dt.date(2025, 6, 10), dt.date(2025, 5, 16)
JUNE, JULY = dt.date(2025, 6, 16), dt.date(2025, 7, 16)
PLATE = "AAA1A11"
OWNER = {"plate": PLATE, "carrier_code": "UM", "unit_code": "U"}
AMOUNT_OF = {
    **dict.fromkeys(("D01", "D02", "D03", "D05", "D08"), "disallowed_brl"),
    "D06": "held_brl",
    "O04": "paid_doubtful_brl",
    "D04": "in_favour_brl",
}
NONE = empty_frame(ADJUSTMENTS)


def finding(name: str, rule: str, brl: str | None, **more: Any) -> dict[str, Any]:
    """A finding of R$ brl, and of a tenth of it in km."""
    km = None if brl is None else D(brl) / 10
    return {"finding_id": name, "rule_id": rule, "operational_date": DAY, "status": "open", **OWNER, "km_at_stake": km,
            "amount": AMOUNT_OF[rule], AMOUNT_OF[rule]: None if brl is None else D(brl), **more}  # fmt: skip


def group(name: str, runs: list[str], trips: list[str] | None = None) -> dict[str, Any]:
    return {"match_id": name, "operational_date": DAY, **OWNER, "declared_run_ids": runs, "trip_ids": trips or []}


def late(trip: str, brl: str | None) -> dict[str, Any]:
    """A line of a day that was computed again."""
    return {"adjustment_id": trip, "operational_date": DAY, "kind": "trip", **OWNER, "trip_id": trip,
            "difference_brl": None if brl is None else D(brl)}  # fmt: skip


ONE_RUN = rows(MATCHES, group("g", ["r"]))


def adjusted(
    findings: list[dict], reversed_ids: str, *, lates: list[dict] | None = None, matches: pd.DataFrame = ONE_RUN,
    now: pd.DataFrame | None = None, billed: pd.DataFrame = NONE, start: dt.date = JUNE,
) -> pd.DataFrame:  # fmt: skip
    decisions = pd.DataFrame({"finding_id": reversed_ids.split(), "decided_date": dt.date(2025, 6, 25)})
    inputs = ReversalInputs(
        decisions, rows(FINDINGS, *findings), matches, matches if now is None else now,
        rows(ADJUSTMENTS, *(lates or [])), billed,
    )  # fmt: skip
    return reversal_adjustments(start, 16, inputs)


def released(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    return {
        row["finding_id"]: (str(row["difference_km"]), str(row["difference_brl"])) for row in frame.to_dict("records")
    }


@pytest.mark.parametrize(
    ("rule", "expected", "words"),
    [
        ("D01", ("10.00", "100.00"), "os km declarados passam a ser pagos"),
        ("D06", ("10.00", "100.00"), "o valor retido é liberado"),
        ("O04", ("0.00", "0.00"), "deixa de estar em dúvida; nada a acertar"),
        ("D04", ("0.00", "0.00"), "vale o que foi medido"),
    ],
)
def test_each_amount_has_its_own_effect(rule, expected, words) -> None:
    (row,) = adjusted([finding("f", rule, "100.00", declared_run_id="r")], "f").to_dict("records")
    assert (str(row["difference_km"]), str(row["difference_brl"])) == expected
    assert row["reason"].startswith(f"Achado {rule} revertido em 25/06/2025: ")
    assert words in row["reason"]
    assert (row["billed_cycle_start"], row["origin_cycle_start"], row["kind"]) == (JUNE, MAY, "finding")


def test_the_same_inputs_give_the_same_ids_and_rows_in_any_order() -> None:
    known = [finding("a", "D06", "10.00", declared_run_id="r"), finding("b", "D01", "20.00", declared_run_id="s")]
    matches = rows(MATCHES, group("g", ["r"]), group("h", ["s"]))
    first, second = (adjusted(one, "a b", matches=matches) for one in (known, known[::-1]))
    pd.testing.assert_frame_equal(first, second)


def test_a_run_that_another_standing_finding_keeps_is_not_paid() -> None:
    phantom = finding("phantom", "D05", "100.00", declared_run_id="r")
    twice = finding("twice", "D08", "100.00", declared_run_id="r")
    (row,) = adjusted([phantom, twice], "twice").to_dict("records")
    assert (row["difference_brl"], "outro achado que continua valendo" in row["reason"]) == (D(0), True)
    both = adjusted([phantom, twice], "phantom twice")
    assert both["difference_brl"].sum() == D("100.00")
    part = adjusted([phantom, finding("f", "D01", "30.00", declared_run_id="r")], "phantom")
    assert released(part) == {"phantom": ("7.00", "70.00")}
    assert "Parte já foi acertada" in part["reason"].iloc[0]


def test_a_run_its_day_and_its_cycle_are_released_once() -> None:
    of_run = finding("run", "D01", "30.00", declared_run_id="r")
    of_day = finding("day", "D02", "50.00")
    of_cycle = finding("cycle", "D03", "80.00", cycle_start=MAY)
    known = [of_run, of_day, of_cycle]
    assert {name: brl for name, (_, brl) in released(adjusted(known, "run day cycle")).items()} == {
        "run": "30.00", "day": "20.00", "cycle": "30.00",
    }  # fmt: skip
    assert released(adjusted(known, "run")) == {"run": ("3.00", "30.00")}, "a sum over the day keeps no run by itself"
    assert released(adjusted(known, "cycle"))["cycle"][1] == "30.00"


def test_late_data_of_the_same_run_are_set_off_and_what_was_released_twice_is_taken_back() -> None:
    """Released in June; then positions arrive, and the trip itself is paid: July takes the double payment back."""
    held = [finding("f", "D06", "100.00", declared_run_id="r")]
    june = adjusted(held, "f")
    assert released(june) == {"f": ("10.00", "100.00")}
    assert len(adjusted(held, "f", billed=june, start=JULY)) == 0
    now = rows(MATCHES, group("new", ["r"], ["t"]))
    july = adjusted(held, "f", lates=[late("t", "60.00")], now=now, billed=june, start=JULY)
    assert released(july) == {"f": ("-6.00", "-60.00")}
    (row,) = july.to_dict("records")
    assert (row["brl_closed"], row["brl_now"], row["km_now"]) == (D("100.00"), D("40.00"), D("4.00"))
    assert row["adjustment_id"] != june["adjustment_id"].iloc[0]
    both = conform(pd.concat([june, july]).assign(run_id="r", updated_at=pd.Timestamp(0, tz="UTC")), ADJUSTMENTS)
    august = adjusted(held, "f", lates=[late("t", "60.00")], now=now, billed=both, start=dt.date(2025, 8, 16))
    assert len(august) == 0


def test_late_data_of_another_run_and_late_losses_set_nothing_off() -> None:
    held = [finding("f", "D06", "100.00", declared_run_id="r")]
    matches = rows(MATCHES, group("g", ["r"]), group("h", ["s"], ["u"]))
    for other in (late("u", "60.00"), late("u", "-60.00"), late("u", None)):
        assert released(adjusted(held, "f", lates=[other], matches=matches)) == {"f": ("10.00", "100.00")}
    day = [finding("day", "D02", "50.00")]
    assert released(adjusted(day, "day", lates=[late("u", "20.00")], matches=matches))["day"][1] == "30.00"


def test_without_a_known_rate_a_person_decides() -> None:
    (row,) = adjusted([finding("f", "D06", None, declared_run_id="r")], "f").to_dict("records")
    assert pd.isna(row["difference_brl"])
    assert "uma pessoa precisa decidir" in row["reason"]


def test_an_exception_after_the_decision_does_not_take_the_release_back() -> None:
    assert released(adjusted([finding("f", "D06", "9.90", declared_run_id="r", status="excepted")], "f")) == {
        "f": ("0.99", "9.90")
    }


@pytest.mark.parametrize(
    ("reversed_ones", "expected"),
    [
        ("a b c d", {"a": "15.00", "b": "0.00", "c": "30.00", "d": "20.00"}),  # 90 that were kept - 25 that were paid
        ("a", {"a": "0.00"}),  # 10 beyond what b keeps: paid by late data
        ("b", {"b": "0.00"}),
        ("c", {"c": "5.00"}),
        ("d", {"d": "0.00"}),
    ],
)
def test_never_more_than_was_kept_and_late_data_left(reversed_ones, expected) -> None:
    """a and b keep one run, c its day, d its cycle; late data paid R$ 25 of that run."""
    rules = {"a": ("D05", "40.00"), "b": ("D08", "30.00"), "c": ("D02", "70.00"), "d": ("D03", "90.00")}
    more = {"a": {"declared_run_id": "r"}, "b": {"declared_run_id": "r"}, "d": {"cycle_start": MAY}}
    known = [finding(name, *rule, **more.get(name, {})) for name, rule in rules.items()]
    now = rows(MATCHES, group("g", ["r"], ["t"]))
    found = released(adjusted(known, reversed_ones, lates=[late("t", "25.00")], now=now))
    assert {name: brl for name, (_, brl) in found.items()} == expected
