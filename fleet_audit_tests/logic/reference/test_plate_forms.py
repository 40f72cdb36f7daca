import datetime as dt

import pytest

from fleet_audit.logic.reference.plate_forms import (
    other_form,
    registered_forms,
    to_registered,
    with_registered_plates,
)
from fleet_audit.schema import reference
from fleet_audit_tests.logic.frames import rows

JANUARY, JUNE = dt.date(2025, 1, 1), dt.date(2025, 6, 10)


@pytest.mark.parametrize(("old", "new"), [("ABC1234", "ABC1C34"), ("KPU9036", "KPU9A36"), ("GDP4968", "GDP4J68")])
def test_the_fifth_characters_digit_and_letter_are_one_plate(old: str, new: str) -> None:
    assert (other_form(old), other_form(new)) == (new, old)


@pytest.mark.parametrize("plate", ["ABC1K34", "ABC1Z34", "", "ABC12345", "ÀBC1234"])
def test_other_texts_have_no_other_form(plate: str) -> None:
    assert other_form(plate) is None


def test_the_registered_form_stands_for_the_vehicle_in_both_directions() -> None:
    forms = registered_forms(_vehicles("KPU9A36", "ABC1234"))
    plates = rows(
        reference.DEVICES, *({"device_id": "1", "plate": plate} for plate in ("KPU9036", "ABC1C34", "XYZ1A11"))
    )
    assert to_registered(plates["plate"], forms).tolist() == ["KPU9A36", "ABC1234", "XYZ1A11"]


def test_two_registered_forms_are_two_vehicles() -> None:
    forms = registered_forms(_vehicles("KPU9A36", "KPU9036"))
    assert forms == {}


def test_a_device_and_a_titular_in_the_other_form_belong_to_the_registered_vehicle() -> None:
    vehicles = rows(
        reference.VEHICLES,
        {"plate": "KPU9A36"},
        {"plate": "BBB1B11", "status": "reserva", "titular_plate": "KPU9036"},
    )
    forms = registered_forms(vehicles)
    named, excluded = with_registered_plates(reference.VEHICLES, vehicles, forms)
    assert (named["plate"].tolist(), named["titular_plate"].tolist()[1], excluded) == (
        ["KPU9A36", "BBB1B11"], "KPU9A36", [],
    )  # fmt: skip
    devices = rows(
        reference.DEVICES,
        {"device_id": "23", "plate": "KPU9036", "valid_from": JANUARY, "valid_to": dt.date(2025, 6, 9)},
        {"device_id": "23", "plate": "KPU9A36", "valid_from": JUNE},
    )
    named, excluded = with_registered_plates(reference.DEVICES, devices, forms)
    assert (set(named["plate"]), len(named), excluded) == ({"KPU9A36"}, 2, [])


def test_a_fixed_cost_that_both_forms_have_on_one_day_is_not_paid_twice() -> None:
    forms = registered_forms(_vehicles("KPU9A36"))
    fixed = rows(
        reference.FIXED_COSTS,
        {"contract_id": "CT", "plate": "KPU9036", "amount_brl_per_month": 100, "valid_from": JANUARY},
        {"contract_id": "CT", "plate": "KPU9A36", "amount_brl_per_month": 100, "valid_from": JUNE},
        {"contract_id": "CT", "plate": "AAA1A11", "amount_brl_per_month": 100, "valid_from": JUNE},
    )
    named, excluded = with_registered_plates(reference.FIXED_COSTS, fixed, forms)
    assert named["plate"].tolist() == ["KPU9A36", "AAA1A11"]
    assert len(excluded) == 1
    assert "KPU9036" in excluded[0]
    assert "KPU9A36" in excluded[0]


def _vehicles(*plates: str):
    return rows(reference.VEHICLES, *({"plate": plate} for plate in plates))
