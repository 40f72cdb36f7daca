"""Drivers' texts to pseudonyms: names leave this module only as rows of `ref.drivers`."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import pandas as pd

from fleet_audit.logic.primitives.identity import driver_pseudonym, fold
from fleet_audit.schema.derive import conform
from fleet_audit.schema.reference import DRIVERS

_NO_DRIVER = {"", "unknown", "desconhecido", "-", "--"}
# Each page of a fleet names the same drivers: 144 pages of 500 take 0.4 to 1.0 s of processor time less of 4.5.
_KEPT_SPELLINGS = 65_536
_MAINTENANCE = re.compile(r"[\s\-–(/|,]*manuten[cç][aã]o[\s.)]*", re.IGNORECASE)


def identify(text: pd.Series, key: bytes) -> pd.DataFrame:
    """driver_id, name and is_maintenance of each text, computed once per spelling.

    A note "… manutenção." sets the flag and is not part of the name; `Unknown` and empty are not a driver.
    """
    known = {spelling: identify_text(spelling, key) for spelling in text.unique()}
    rows = [known[spelling] for spelling in text]
    return pd.DataFrame(rows, columns=["driver_id", "name", "is_maintenance"], index=text.index).astype(
        {"driver_id": "str", "name": "str", "is_maintenance": "boolean"}
    )


@lru_cache(maxsize=_KEPT_SPELLINGS)
def identify_text(text: str, key: bytes) -> tuple[str | None, str | None, bool]:
    """driver_id, name and is_maintenance of a text, as `identify` finds them."""
    composed = unicodedata.normalize("NFC", text)
    is_maintenance = "manutenc" in fold(composed)
    name = _MAINTENANCE.sub(" ", composed).strip()
    if fold(name) in _NO_DRIVER:
        return None, None, is_maintenance
    return driver_pseudonym(name, key), name, is_maintenance


def as_reference(identified: pd.DataFrame) -> pd.DataFrame:
    """Rows of `ref.drivers`, one per driver: the name alone.

    What a row notes of its driver is true of that row. Kept here it would make every later trip of the driver one of
    maintenance, and which trips would hang on the file that arrived first.
    """
    named = identified[["driver_id", "name"]].dropna(subset=["driver_id"]).sort_values(["driver_id", "name"])
    return conform(named.drop_duplicates("driver_id").reset_index(drop=True), DRIVERS)
