"""Places that a person's text names: cut names, stray dots, patterns of an address; never one of several."""

from __future__ import annotations

import pandas as pd
import pytest

from fleet_audit.logic.reference.named_places import NamedPlaces

PLACES = NamedPlaces(
    [
        {"poi_id": "U1", "name": "Usina São João", "address_pattern": None},
        {"poi_id": "U2", "name": "Usina Santa Fé", "address_pattern": "rod. SP-330, km 12"},
        {"poi_id": "F1", "name": None, "address_pattern": "fazenda boa vista"},
    ]
)


@pytest.mark.parametrize(
    ("text", "poi_id"),
    [
        ("USINA SAO J", "U1"),  # a form cuts long names
        ("usina. são joão.", "U1"),
        ("Usina S", None),  # begins two names
        ("Usi", None),  # too short for a name
        ("Rod SP 330 Km 12 - portaria", "U2"),
        ("Frente 7, Fazenda Boa Vista", "F1"),
        ("Terminal Central", None),
        (None, None),
        (pd.NA, None),
    ],
)
def test_a_text_names_one_registered_place_or_none(text: object, poi_id: str | None) -> None:
    place = PLACES.named_by(text)
    assert (place and place["poi_id"]) == poi_id
