"""Plates of a column: normalised, and rejected where a text is not a Brazilian plate.

The two forms of one plate, before and after the Mercosul change, are in `logic.reference.plate_forms`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.formats.numbers import as_array, is_filled, typed_series, without_text_guard
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.logic.primitives.identity import PLATE, normalise_plate


def normalised(text: pd.Series) -> pd.Series:
    """Upper case, without spaces, dots or hyphens; computed once per spelling."""
    spellings = as_array(without_text_guard(text)).dictionary_encode()
    plates = pa.array([normalise_plate(spelling) for spelling in spellings.dictionary.to_pylist()], pa.large_string())
    return typed_series(plates.take(spellings.indices), text.index, "str")


def is_plate(plates: pd.Series) -> pd.Series:
    """Which normalised texts are Brazilian plates of either form (`ABC1234`, `ABC1D23`)."""
    found = as_array(plates).dictionary_encode()
    known = [plate.isascii() and PLATE.match(plate) is not None for plate in found.dictionary.to_pylist()]
    return pd.Series(np.array(known, dtype=bool)[found.indices.to_numpy()], index=plates.index)


def plates(quarantine: Quarantine, label: str, text: pd.Series, *, is_required: bool = True) -> pd.Series:
    """Normalised plates; rejects rows with another text, and rows without a plate where it is required."""
    result = normalised(text)
    if is_required:
        quarantine.refuse_missing(label, text)
    quarantine.refuse_value(
        is_filled(text) & ~is_plate(result), "bad_plate", label, text, "not a Brazilian plate (ABC1234 or ABC1D23)"
    )
    return result
