"""Parts of the page that need no service: amounts in words, names of downloads, and whose points a map draws."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit.access.web.files import download
from fleet_audit.access.web.formats import Amount, amount, short_amount
from fleet_audit.access.web.money import joined_by_cause
from fleet_audit.access.web.movement import Subject, movement_pictures
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake

DAY = dt.date(2025, 6, 10)
MIDNIGHT = dt.datetime(2025, 6, 11, 3, tzinfo=dt.UTC)  # the end of DAY in São Paulo


@pytest.mark.parametrize(
    ("sum_of", "words", "cell"),
    [
        (Amount(Decimal("0")), "R$\u00a00,00", "0,00"),
        (Amount(Decimal("1234.5")), "R$\u00a01.234,50", "1.234,50"),
        (Amount(Decimal("12.30"), 2), "R$\u00a012,30 + 2 a apurar", "12,30 + ?"),
        (Amount(Decimal("0"), 1), "a apurar", "?"),
    ],
)
def test_an_unknown_amount_is_never_written_as_zero(sum_of: Amount, words: str, cell: str) -> None:
    assert (amount(sum_of), short_amount(sum_of)) == (words, cell)


def test_a_vehicle_without_a_tariff_has_one_place_of_the_day_and_another_carrier_has_its_own() -> None:
    def incident(plate: str, carrier: str, brl: str | None) -> dict[str, object]:
        value = None if brl is None else Decimal(brl)
        return {"root_rule_id": "K01", "carrier_code": carrier, "plates": [plate], "sentence_pt": f"{plate} {brl}",
                "held_brl": Decimal(0), "in_favour_brl": value}  # fmt: skip

    own = [incident("VDM0A06", "VIAMATA", brl) for brl in ("147.82", "147.44", None)]
    first, second = joined_by_cause([*own, incident("TRS0A38", "TRANSUL", "90.00")])
    assert (first["count"], first["sentence_pt"]) == (3, "VDM0A06 147.82")
    assert first["amounts"] == [("A favor da transportadora", Amount(Decimal("295.26"), 1))]
    assert (second["count"], second["amounts"][0][1]) == (1, Amount(Decimal("90.00")))


def test_a_name_of_a_file_cannot_add_a_header_or_become_a_page() -> None:
    response = download(b"x", 'a"; filename=b.html\r\nSet-Cookie: c=1.pdf')
    assert "set-cookie" not in response.headers
    assert response.headers["content-disposition"].startswith('attachment; filename="a__ filename_b.html__Set-Cookie_')
    assert response.media_type == "application/octet-stream"


def test_a_map_draws_nothing_of_a_device_after_it_moved_to_another_vehicle(tmp_path: Path) -> None:
    """A run declared over midnight, at which its device moves to a vehicle of another carrier."""

    def lake(name: str, minutes: list[int]) -> Lake:
        one = Lake(Settings(_env_file=None, home=tmp_path / name, lake_url=None))
        for day in (DAY, DAY + dt.timedelta(days=1)):
            times = [MIDNIGHT + dt.timedelta(minutes=minute) for minute in minutes]
            points = pd.DataFrame({"recorded_at": times, "date": [(at - dt.timedelta(hours=3)).date() for at in times]})
            points = points.assign(device_id="4001", latitude=-21.5 - points.index / 100, longitude=-48.0)
            points = points.assign(odometer_km=1000.0 + points.index, trip_key="", source="api")
            one.write_day(
                STAGING_POSITIONS, day, pd.concat([empty_frame(STAGING_POSITIONS), points[points["date"] == day]])
            )
        return one

    ended_at = MIDNIGHT + dt.timedelta(minutes=20)
    run = {
        "started_at": MIDNIGHT - dt.timedelta(minutes=20),
        "ended_at": ended_at,
        "bulletin_number": "7",
        "declared_km": 9,
    }
    assignment = {"device_id": "4001", "valid_from": dt.date(2025, 1, 1), "valid_to": DAY}
    subject = Subject("AAA1A11", DAY, "America/Sao_Paulo", (), (run,), (assignment,), ())
    alone = movement_pictures(lake("alone", [-20, -10, -1]), subject)
    followed = movement_pictures(lake("followed", [-20, -10, -1, 5, 15]), subject)
    assert len(alone) == 2
    assert followed == alone
    trip = {"device_id": "4001", "started_at": run["started_at"], "ended_at": ended_at}
    own_trip = movement_pictures(lake("followed", [-20, -10, -1, 5, 15]), replace(subject, trips=(trip,)))
    assert own_trip != alone, "a measured trip over midnight is drawn whole"
    assert movement_pictures(lake("alone", [-20]), replace(subject, devices=())) == []
