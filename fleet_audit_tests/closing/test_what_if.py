"""What a what-if may change, and the sentence on everything else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from fleet_audit.closing.what_if import changed_reference, contracts_with_own, cycle_named, read_scenario
from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.reference.reference import Reference
from fleet_audit_tests.formats.samples import read
from fleet_audit_tests.integration.small_fleet import REFERENCE

_KNOWN = Reference.of({name: read("reference", text.encode(), f"{name}.csv").rows for name, text in REFERENCE.items()})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tolerance=3", "tolerance is not a parameter"),
        ("trip_tolerance_pct=-1", "--set: trip_tolerance_pct is -1 %, outside of 0 to 1000."),
        ("trip_tolerance_pct=nan", "outside of 0 to 1000"),
        ("trip_tolerance_pct=ten", "'ten' is not a number"),
        ("trip_tolerance_pct", "is not parameter=value"),
        ("=3", "is not parameter=value"),
        ("../x=3", "is not parameter=value"),
    ],
)
def test_a_setting_that_no_rule_has_is_named(settings, text, sentence):
    with pytest.raises(PermanentError) as raised:
        read_scenario([text], {}, settings)
    assert sentence in str(raised.value)


def test_a_setting_may_have_a_decimal_comma_and_stands_once(settings):
    assert read_scenario(["agree_km=0,75"], {}, settings).parameters == {"agree_km": 0.75}
    with pytest.raises(PermanentError, match="names agree_km twice"):
        read_scenario(["agree_km=1", "agree_km=2"], {}, settings)
    with pytest.raises(PermanentError, match="Nothing differs"):
        read_scenario([], {}, settings)


_ROW = "T-1,CT-1,,onibus,,,{rate},2025-01-01,\n"
_HEADER = "tariff_id,contract_id,route_code,vehicle_class,area,regime,rate_brl_per_km,valid_from,valid_to\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_HEADER + _ROW.format(rate=5) + _ROW.format(rate=6), "row 3: Row 3 and row 2 are of one tariff_id"),
        (_HEADER + _ROW.format(rate="cinco"), "row 2: rate_brl_per_km is 'cinco', not a number"),
        (_HEADER + _ROW.format(rate=-5), "row 2: rate_brl_per_km is '-5', below zero"),
        (_HEADER, "has no rows"),
        ("a,b\n1,2\n", "--tariffs tarifas.csv: "),
        ("\x00\x01", "--tariffs tarifas.csv: "),
    ],
)
def test_a_file_with_one_bad_row_is_refused(settings, tmp_path: Path, content, sentence):
    path = tmp_path / "tarifas.csv"
    path.write_text(content)
    with pytest.raises(PermanentError) as raised:
        read_scenario([], {"tariffs": path}, settings)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(settings, tmp_path: Path):
    with pytest.raises(PermanentError, match=r"--tariffs .*nada\.csv cannot be read \(No such file"):
        read_scenario([], {"tariffs": tmp_path / "nada.csv"}, settings)


def test_a_tariff_of_a_contract_that_does_not_exist_is_refused(settings, tmp_path: Path):
    path = tmp_path / "tarifas.csv"
    path.write_text(_HEADER + _ROW.format(rate=5).replace("CT-1", "CT-9"))
    scenario = read_scenario([], {"tariffs": path}, settings)
    with pytest.raises(PermanentError, match="contract_id CT-9 is in no row of contracts"):
        changed_reference(_KNOWN, scenario)


def test_a_cycle_is_named_by_the_month_or_the_day_it_starts():
    assert cycle_named("2025-05", 16).start == cycle_named("2025-05-16", 16).start == dt.date(2025, 5, 16)
    for text, sentence in (
        ("2025-06-15", "is of the cycle that starts on 2025-05-16"),
        ("2025-13", "neither a month"),
        ("maio", "neither a month"),
    ):
        with pytest.raises(PermanentError, match=sentence):
            cycle_named(text, 16)


def test_contracts_that_state_a_tolerance_themselves_are_counted_for_the_cycle_alone():
    """A month of --set trip_tolerance_pct=8 took five minutes and changed nothing: each contract had its own."""
    text = "contract_id,carrier_code,unit_code,kind,deadhead_rule,trip_tolerance_pct,valid_from,valid_to\n" + (
        "CT-1,CON,UCP,contrato,paid,8,2025-01-01,\n"
        "CT-2,CON,UCP,contrato,paid,,2025-01-01,\n"
        "CT-3,CON,UCP,contrato,paid,9,2025-01-01,2025-05-15\n"
    )
    contracts = read("reference", text.encode(), "contracts.csv").rows
    cycle = cycle_of(dt.date(2025, 5, 16), 16)
    assert contracts_with_own("trip_tolerance_pct", contracts, cycle) == (1, 2)
    assert contracts_with_own("leg_min_km", contracts, cycle) == (0, 2)
