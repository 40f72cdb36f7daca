"""The two forms of one Brazilian plate: a vehicle that is registered again changes `ABC1234` into `ABC1C34` (Mercosul).

Here belongs which of both forms stands for a vehicle: the one that `ref.vehicles` has. How plates are written is in
`formats.plates`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from fleet_audit.logic.primitives.identity import PLATE
from fleet_audit.logic.reference.validity import validity
from fleet_audit.schema.model import Table

_LETTERS = "ABCDEFGHIJ"  # CONTRAN resolution 729/2018: the fifth character's digit 0-9 becomes the letter A-J
_MISSPELT = 2  # characters added, lost or changed
_ALIKE = str.maketrans("OQIL", "0011")  # letters that are written for digits
_PLATE_COLUMNS = ("plate", "titular_plate")
# Tables in which a plate has one row per day, beside these columns.
_DATED = {"devices": ["device_id"], "fixed_costs": ["contract_id"]}


def other_form(plate: str) -> str | None:
    """The same plate before or after the change; None where it has no other form (a fifth character of K to Z)."""
    if not PLATE.match(plate):
        return None
    fifth = plate[4]
    if fifth.isdigit():
        return f"{plate[:4]}{_LETTERS[int(fifth)]}{plate[5:]}"
    return f"{plate[:4]}{_LETTERS.index(fifth)}{plate[5:]}" if fifth in _LETTERS else None


def registered_forms(vehicles: pd.DataFrame) -> dict[str, str]:
    """Form that is not registered → registered form, of each plate of `ref.vehicles`.

    Where both forms are registered, the register has two vehicles, or dates the change itself: neither
    stands for the other.
    """
    plates = set(vehicles["plate"])
    pairs = ((other_form(plate), plate) for plate in plates)
    return {other: plate for other, plate in pairs if other is not None and other not in plates}


def plates_near(texts: pd.Series, plates: pd.Series) -> pd.DataFrame:
    """text, plate: the plates that each text may be, misspelt: all from which at most two characters differ.

    O for 0 and I for 1 do not count.

    Args:
        texts: distinct, normalised; plates: those of the vehicles, in any order.
    """
    known = plates.drop_duplicates().to_numpy(dtype=object)
    spelled, of_plates = ([text.translate(_ALIKE) for text in side] for side in (texts, known))
    distance = process.cdist(spelled, of_plates, scorer=Levenshtein.distance, score_cutoff=_MISSPELT)
    text, plate = np.nonzero(distance <= _MISSPELT)
    return pd.DataFrame({"text": texts.to_numpy(dtype=object)[text], "plate": known[plate]}, dtype="str")


def to_registered(plates: pd.Series, forms: dict[str, str]) -> pd.Series:
    """The plates with every form that is not registered replaced by the registered one."""
    return plates.replace(forms) if forms and plates.isin(forms).any() else plates


def with_registered_plates(table: Table, rows: pd.DataFrame, forms: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Rows of a reference table with registered plates, and a sentence on each row that was excluded.

    A row is excluded when the table has a row of the registered form with the same key or, where one row per vehicle
    holds on a day, a row that holds on the same days: a device or a fixed cost would count twice.
    """
    columns = [name for name in _PLATE_COLUMNS if name in rows and not (table.name == "vehicles" and name == "plate")]
    renamed = rows.assign(**{name: to_registered(rows[name], forms) for name in columns})
    if "plate" not in columns or not rows["plate"].isin(forms).any():
        return renamed, []
    is_renamed = rows["plate"].isin(forms)
    is_excluded = is_renamed & renamed.duplicated(list(table.key), keep=False)
    if table.name in _DATED:
        is_excluded |= is_renamed & _meets_another(renamed, [*_DATED[table.name], "plate"], is_renamed)
    sentences = [
        f"{table.name}: the row of {written} is of the vehicle {registered}, which has a row of its own for the same "
        "days or key; it was excluded: correct one of both."
        for written, registered in zip(rows["plate"][is_excluded], renamed["plate"][is_excluded], strict=True)
    ]
    return renamed[~is_excluded].reset_index(drop=True), sentences


def _meets_another(rows: pd.DataFrame, key: list[str], is_renamed: pd.Series) -> pd.Series:
    """Which rows hold on a day on which a row that was not renamed, of the same key, holds."""
    starts, ends = validity(rows)
    dated = rows[key].assign(start=starts.astype("int64"), end=ends.astype("int64"), row=range(len(rows)))
    pairs = dated[is_renamed.to_numpy()].merge(dated[~is_renamed.to_numpy()], on=key, suffixes=("", "_other"))
    meeting = pairs[(pairs["start"] <= pairs["end_other"]) & (pairs["start_other"] <= pairs["end"])]
    return pd.Series(range(len(rows)), index=rows.index).isin(set(meeting["row"]))
