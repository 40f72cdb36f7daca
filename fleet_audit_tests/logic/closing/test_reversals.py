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


def group(name: str, runs: list[str], trips: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A group that is compared over its day and cycle, unless difference_km is None."""
    return {"match_id": name, "operational_date": DAY, **OWNER, "declared_run_ids": runs, "trip_ids": trips or [],
            "difference_km": D(1), **more}  # fmt: skip


def late(trip: str, brl: str | None, **more: Any) -> dict[str, Any]:
    """A line of a day that was computed again."""
    return {"adjustment_id": trip, "operational_date": DAY, "kind": "trip", **OWNER, "trip_id": trip,
            "difference_brl": None if brl is None else D(brl), **more}  # fmt: skip


ONE_RUN = rows(MATCHES, group("g", ["r"]))
TWO_RUNS = rows(MATCHES, group("g", ["r"]), group("h", ["s"]))


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


def brl_of(frame: pd.DataFrame) -> dict[str, str]:
    return {name: brl for name, (_, brl) in released(frame).items()}


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


def held(name: str, run: str, brl: str | None = "100.00", **more: Any) -> dict[str, Any]:
    return finding(name, "D06", brl, declared_run_id=run, **more)


@pytest.mark.parametrize(
    ("paid", "reversed_ones", "expected"),
    [
        ("200.00", "a b", {"a": "0.00", "b": "0.00"}),
        ("150.00", "a b", {"a": "0.00", "b": "50.00"}),
        ("150.00", "b", {"b": "0.00"}),
    ],
)
def test_a_late_trip_of_two_runs_is_set_off_against_both(paid, reversed_ones, expected) -> None:
    now = rows(MATCHES, group("new", ["r", "s"], ["t"]))
    known = [held("a", "r"), held("b", "s")]
    assert brl_of(adjusted(known, reversed_ones, lates=[late("t", paid)], matches=TWO_RUNS, now=now)) == expected


def test_a_late_trip_that_also_serves_a_run_unknown_at_the_close_is_set_off() -> None:
    now = rows(MATCHES, group("new", ["r", "z"], ["t"]))
    assert brl_of(adjusted([held("a", "r")], "a", lates=[late("t", "100.00")], now=now)) == {"a": "0.00"}
    assert brl_of(adjusted([held("a", "r")], "a", lates=[late("z", "100.00")], now=now)) == {"a": "0.00"}


def test_two_runs_that_a_late_trip_joins_still_release_both_what_they_kept() -> None:
    """D05 of one run and D06 of another are not the same km, though one trip was measured for both."""
    now = rows(MATCHES, group("new", ["r", "s"], ["t"]))
    known = [finding("a", "D05", "100.00", declared_run_id="r"), held("b", "s")]
    found = brl_of(adjusted(known, "a b", lates=[late("t", "30.00")], matches=TWO_RUNS, now=now))
    assert found == {"a": "70.00", "b": "100.00"}


def test_a_late_trip_of_the_next_day_is_set_off_against_the_run_before_midnight() -> None:
    next_day = {"operational_date": DAY + dt.timedelta(days=1)}
    now = rows(MATCHES, group("new", ["r"], ["t"]))
    known = [held("a", "r"), finding("day", "D02", "150.00")]
    found = brl_of(adjusted(known, "a day", lates=[late("t", "120.00", **next_day)], now=now))
    assert found == {"a": "0.00", "day": "30.00"}


@pytest.mark.parametrize("rule", ["D02", "D03"])
def test_runs_without_a_trip_are_no_part_of_a_day_or_cycle(rule) -> None:
    """D02 and D03 compare what has runs and trips; a held run keeps other km, and late data pay them apart."""
    matches = rows(MATCHES, group("g", ["r"], ["u"]), group("h", ["s"], difference_km=None))
    whole = finding("whole", rule, "60.00", cycle_start=MAY if rule == "D03" else None)
    known = [whole, held("run", "s")]
    assert brl_of(adjusted(known, "whole", matches=matches)) == {"whole": "60.00"}
    assert brl_of(adjusted(known, "whole run", matches=matches)) == {"whole": "60.00", "run": "100.00"}
    now = rows(MATCHES, group("g", ["r"], ["u"]), group("new", ["s"], ["t"]))
    paid = adjusted(known, "whole run", lates=[late("t", "100.00")], matches=matches, now=now)
    assert brl_of(paid) == {"whole": "60.00", "run": "0.00"}
    assert brl_of(adjusted([whole], "whole", lates=[late("undeclared", "100.00")])) == {"whole": "60.00"}


@pytest.mark.parametrize("rule", ["D02", "D03"])
def test_a_group_that_a_day_or_cycle_did_not_count_keeps_nothing_of_it(rule) -> None:
    """h, whose way was not measured, has a finding of its own, and late data pay it: D02 and D03 add up g alone."""
    matches = rows(MATCHES, group("g", ["r"], ["t"]), group("h", ["s"], ["u"]))
    cycle = {"cycle_start": MAY} if rule == "D03" else {}

    def of(uncounted: str) -> list[dict]:
        evidence = f'{{"uncounted_match_ids": [{uncounted}]}}'
        whole = finding("whole", rule, "60.00", evidence=evidence, **cycle)
        return [whole, finding("own", "D01", "40.00", declared_run_id="s")]

    assert brl_of(adjusted(of(""), "whole", matches=matches)) == {"whole": "20.00"}
    assert brl_of(adjusted(of('"h"'), "whole", matches=matches)) == {"whole": "60.00"}
    assert brl_of(adjusted(of('"h"'), "whole own", matches=matches)) == {"whole": "60.00", "own": "40.00"}
    paid = adjusted(of('"h"')[:1], "whole", lates=[late("u", "50.00")], matches=matches)
    assert brl_of(paid) == {"whole": "60.00"}
    paid = adjusted(of('"h"')[:1], "whole", lates=[late("t", "50.00")], matches=matches)
    assert brl_of(paid) == {"whole": "10.00"}


def test_a_day_that_its_cycle_did_not_count_keeps_nothing_of_it() -> None:
    """D02 disallows g of one day; D03 counts h of another alone, else both."""
    matches = rows(
        MATCHES, group("g", ["r"], ["t"]), group("h", ["s"], ["u"], operational_date=DAY + dt.timedelta(days=1))
    )
    day = finding("day", "D02", "100.00", evidence='{"match_ids": ["g"]}')
    for uncounted, due in (("[]", "0.00"), ('["g"]', "60.00")):
        cycle = finding("cycle", "D03", "60.00", cycle_start=MAY, evidence=f'{{"uncounted_match_ids": {uncounted}}}')
        assert brl_of(adjusted([day, cycle], "cycle", matches=matches)) == {"cycle": due}


def test_what_was_paid_to_another_carrier_of_the_vehicle_is_not_set_off() -> None:
    later = {"operational_date": DAY + dt.timedelta(days=3), "carrier_code": "DOIS"}
    matches = rows(MATCHES, group("g", ["r"], ["t"]), group("h", ["s"], ["u"], **later))
    whole = finding("whole", "D03", "60.00", cycle_start=MAY, **later)
    assert brl_of(adjusted([whole], "whole", lates=[late("t", "50.00")], matches=matches)) == {"whole": "60.00"}
    own = late("u", "50.00", **later)
    assert brl_of(adjusted([whole], "whole", lates=[own], matches=matches)) == {"whole": "10.00"}


def test_two_cycles_of_a_vehicle_are_released_apart() -> None:
    """What runs of May keep does not lessen what D03 of June releases."""
    in_june = {"operational_date": JUNE, "cycle_start": JUNE}
    known = [
        held("run", "r"),
        finding("may", "D03", "60.00", cycle_start=MAY),
        finding("june", "D03", "60.00", **in_june),
    ]
    assert brl_of(adjusted(known, "may june", start=JULY)) == {"may": "0.00", "june": "60.00"}


def test_only_the_finding_without_a_rate_is_unknown() -> None:
    unknown = finding("unknown", "D01", None, declared_run_id="r")
    known = [held("f", "r"), unknown, finding("day", "D02", "150.00")]
    assert brl_of(adjusted(known, "f unknown")) == {"f": "100.00", "unknown": "None"}
    frame = adjusted(known, "f day")
    assert frame["difference_brl"].isna().all(), "how much of the run the standing finding keeps is not known"
    assert all("outro achado sobre os mesmos km continua valendo" in reason for reason in frame["reason"])
    assert not frame["reason"].str.contains("há tarifa conhecida para").any()
