"""Reasons for which vehicles are not tested: each vehicle has one, and all that lack something are counted."""

from __future__ import annotations

from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds


def test_a_vehicle_that_lacks_several_needs_has_the_first_reason() -> None:
    asked = {"AAA1A11", "BBB2B22", "CCC3C33"}
    needs = VehicleNeeds(
        (
            VehicleNeed(lambda _: asked, lambda _: {"BBB2B22", "ZZZ9Z99"}, "o relógio está fora de hora"),
            VehicleNeed(lambda _: asked, lambda _: {"BBB2B22", "CCC3C33"}, "faltam posições"),
            VehicleNeed(lambda _: asked, lambda _: {"BBB2B22"}, "o hodômetro parou"),
        )
    )
    assert needs.reasons(None) == [
        "1 de 3 veículos não testado (BBB2B22): o relógio está fora de hora",
        "1 de 3 veículos não testado (CCC3C33): faltam posições",
    ]
    assert needs.untested_plates(None) == {"BBB2B22", "CCC3C33"}
