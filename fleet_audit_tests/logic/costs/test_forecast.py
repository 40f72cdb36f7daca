import dataclasses
import datetime as dt
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.costs.forecast import Forecast, day_classes, forecast_cycle
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import BRL, KM
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, parameters_on
from fleet_audit.schema.reference import CALENDAR, PARAMETERS
from fleet_audit_tests.logic.frames import rows

CYCLE = Cycle(dt.date(2025, 6, 1), dt.date(2025, 6, 30))


def daily(*days: tuple[int, str | None, str | None]) -> pd.DataFrame:
    """(day of June, km, cost)."""

    def column(position: int, dtype: object) -> pd.Series:
        values = [None if day[position] is None else Decimal(day[position]) for day in days]
        return pd.Series(values, dtype=dtype)

    dates = pd.Series([dt.date(2025, 6, 1) + dt.timedelta(days=day[0] - 1) for day in days], dtype=object)
    return pd.DataFrame({"operational_date": dates, "km": column(1, KM), "variable_cost_brl": column(2, BRL)})


def until(day: int) -> list[dt.date]:
    return [dt.date(2025, 6, number) for number in range(1, day + 1)]


def calendar(**classes: str) -> pd.DataFrame:
    """`ref.calendar`: day of June (d1=…) → class; a working day otherwise."""
    named = {dt.date(2025, 6, number): "util" for number in range(1, 31)}
    named |= {dt.date(2025, 6, int(key[1:])): day_type for key, day_type in classes.items()}
    return rows(CALENDAR, *({"date": day, "unit_code": "U", "day_type": kind} for day, kind in named.items()))


def forecast(*days: tuple[int, str | None, str | None], as_of: int = 10, **classes: str) -> Forecast:
    return forecast_cycle(daily(*days), CYCLE, until(as_of), calendar(**classes), DEFAULT_PARAMETERS)


def test_a_saturday_is_forecast_by_saturdays() -> None:
    kinds = {"d7": "sabado", "d14": "sabado", "d21": "sabado", "d28": "sabado"}
    found = forecast((6, "100.00", "490.00"), (7, "10.00", "49.00"), as_of=10, **kinds)
    assert found.km_remaining == 17 * 100 + 3 * 10
    assert found.variable_cost_remaining_brl == 17 * 490 + 3 * 49


def test_a_class_without_data_goes_on_as_all_days_did() -> None:
    found = forecast((6, "100.00", "490.00"), (7, "50.00", "490.00"), d19="feriado")
    assert found.km_remaining == 20 * 75


def test_days_in_between_that_were_not_run_remain() -> None:
    run = [day for day in until(10) if day.day != 5]
    found = forecast_cycle(daily((1, "100.00", "490.00")), CYCLE, run, calendar(), DEFAULT_PARAMETERS)
    assert found.remaining_days == 21


def test_without_a_calendar_the_weekday_is_the_class() -> None:
    classes = day_classes([dt.date(2025, 6, day) for day in (6, 7, 8)], calendar().iloc[:0])
    assert list(classes.values()) == ["util", "sabado", "domingo"]


def test_km_go_on_at_the_mean_of_the_days_with_data() -> None:
    found = forecast((1, "100.00", "490.00"), (2, None, None), (3, "200.00", "980.00"))
    assert (found.days_with_data, found.remaining_days) == (2, 20)
    assert (found.km_so_far, found.km_remaining, found.km_total) == (Decimal("300"), Decimal("3000"), Decimal("3300"))


def test_cost_goes_on_at_its_smoothed_level() -> None:
    found = forecast((3, "1.00", "200.00"), (1, "1.00", "100.00"), (2, "1.00", "150.00"))
    level = Decimal("0.3") * 200 + Decimal("0.7") * (Decimal("0.3") * 150 + Decimal("0.7") * 100)
    assert found.variable_cost_remaining_brl == level * 20
    assert found.variable_cost_total_brl == 450 + level * 20


def test_amounts_are_half_up_to_cents() -> None:
    found = forecast((1, "0.01", "0.01"), (2, "0.02", "0.02"), (3, "0.02", "0.02"), as_of=29)
    assert found.km_remaining == Decimal("0.02")  # 0.05 ÷ 3 = 0.0167
    assert found.variable_cost_remaining_brl == Decimal("0.02")  # 0.0151


def test_without_data_nothing_is_known_and_nothing_is_zero() -> None:
    for found in (forecast(), forecast((1, None, None))):
        values = dataclasses.asdict(found)
        assert (values.pop("days_with_data"), values.pop("remaining_days")) == (0, 20)
        assert set(values.values()) == {None}


def test_only_the_cycle_s_days_that_are_over_count() -> None:
    one = forecast((1, "100.00", "490.00"))
    with_others = forecast((-1, "900.00", "1.00"), (1, "100.00", "490.00"), (11, "900.00", "1.00"))
    assert with_others == one


def test_a_cycle_that_is_over_has_nothing_left() -> None:
    found = forecast_cycle(daily((1, "100.00", "490.00")), CYCLE, until(30), calendar(), DEFAULT_PARAMETERS)
    assert found.remaining_days == 0
    assert found.km_total == Decimal("100.00")
    assert found.variable_cost_total_brl == Decimal("490.00")


def test_the_season_scales_km() -> None:
    harvest = parameters_on(
        dt.date(2025, 6, 10), rows(PARAMETERS, {"name": "forecast_seasonal_factor", "value": "1.5"})
    )
    found = forecast_cycle(daily((1, "100.00", "490.00")), CYCLE, until(10), calendar(), harvest)
    assert found.km_remaining == Decimal("3000.00")
    assert found.variable_cost_remaining_brl == Decimal("9800.00")
