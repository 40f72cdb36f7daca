"""Equal runs of two bulletins, in other words."""

from __future__ import annotations

import pandas as pd
import pytest

from fleet_audit.ingest.versions import respelled_runs

RUN = {
    "plate": "AAA1A11",
    "bulletin_number": "7001",
    "declared_date": "2025-06-10",
    "departed_local": pd.Timestamp("2025-06-10 06:00"),
    "arrived_local": pd.Timestamp("2025-06-10 07:00"),
    "odometer_start_km": 1000.0,
    "odometer_end_km": 1030.0,
    "declared_km": 30.0,
    "passengers": 20,
    "origin_text": "Garagem",
    "destination_text": "USINA",
    "carrier_code": "ALFA",
    "shift_code": "A",
}


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"shift_code": "a", "destination_text": "Usina."}, True),
        ({"carrier_code": None}, True),
        ({"carrier_code": "BETA"}, False),
        ({"declared_km": 31.0}, False),
        ({"destination_text": "Frente"}, False),
        ({"bulletin_number": "7002"}, False),
        ({"departed_local": pd.Timestamp("2025-06-10 06:10")}, False),
    ],
)
def test_the_same_bulletin_in_other_words_is_one_run(other: dict[str, object], is_same: bool):
    """A bulletin that was exported again under another name was every run declared twice (D08)."""
    assert list(respelled_runs(pd.DataFrame([RUN, {**RUN, **other}]))) == [False, is_same]


def test_runs_without_a_number_are_claims_of_their_own():
    runs = pd.DataFrame([{**RUN, "bulletin_number": None}, {**RUN, "bulletin_number": None, "shift_code": "a"}])
    assert not respelled_runs(runs).any()
    assert not respelled_runs(runs[:0]).any()
