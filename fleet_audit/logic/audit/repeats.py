"""Declared runs that repeat an earlier one: the same vehicle, start and places.

The finding about them is D08 in `rules.day.declarations.declared`; matching counts each claim once.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.written_readings import READINGS, with_sound_readings
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.intervals import micros, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.named_places import plain_place

_PLACES = ("origin_code", "destination_code", "origin_text", "destination_text")


def duplicates(runs: pd.DataFrame, foreign: Collection[str], parameters: ParameterSet) -> pd.DataFrame:
    """Runs that repeat an earlier one, each with the nearest: later, earlier (declared_run_id), apart_s, is_nowhere.

    Of runs of two carriers the one of the vehicle's own carrier (not of `foreign`) is the earlier, whenever it starts
    and whatever its number: another carrier sent the runs of a bus that is not its own, and the owner was accused of
    declaring them twice. is_foreign: such a later one.

    Places are the same when their codes or their texts, folded and without stray dots, are, or both are empty. A run
    that begins when the other is over and whose reading continues the other's is the next run, not the same again. Runs
    of two DATA are one only when their readings are the same too: nights dated by their shift are alike, and so are the
    0 that a carrier writes into cells which it leaves empty.
    """
    bulletins = runs["bulletin_number"].astype(object).fillna("")
    runs = runs.assign(bulletin=bulletins).sort_values(["started_at", "declared_km", "bulletin", "declared_run_id"])
    runs = runs.reset_index(drop=True)
    start, end = micros(runs["started_at"]), micros(runs["ended_at"])
    near = pd.DataFrame({"plate": runs["plate"].astype(object), "start_us": start})
    near["end_us"] = start + int(parameters.same_run_s * 1e6) + 1
    pairs = overlaps(near, near)
    pairs = pairs[pairs["left"] < pairs["right"]]
    first, second = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    places = {name: folded_places(runs[name]) for name in _PLACES}
    codes, texts = _PLACES[:2], _PLACES[2:]
    is_same, is_nowhere = np.ones(len(pairs), dtype=bool), np.ones(len(pairs), dtype=bool)
    for code, text in zip(codes, texts, strict=True):
        is_named = [places[name] != "" for name in (code, text)]
        is_empty = ~(is_named[0] | is_named[1])
        equal = [
            (places[name][first] == places[name][second]) & named[first]
            for name, named in zip((code, text), is_named, strict=True)
        ]
        is_same &= equal[0] | equal[1] | (is_empty[first] & is_empty[second])
        is_nowhere &= is_empty[first]
    out_km, in_km = (
        runs[name].to_numpy(dtype=float, na_value=np.nan) for name in ("odometer_start_km", "odometer_end_km")
    )
    is_next = (start[second] >= end[first]) & (out_km[second] >= in_km[first])
    written = as_days(runs["declared_date"])
    sound = with_sound_readings(runs, parameters)
    read = [sound[name].to_numpy(dtype=float, na_value=np.nan) for name in READINGS]
    is_same_reading = np.logical_and(*(km[first] == km[second] for km in read))
    is_other_night = (written[first] != written[second]) & ~is_same_reading
    is_foreign = runs["declared_run_id"].isin(list(foreign)).to_numpy(dtype=bool)
    is_turned = is_foreign[first] & ~is_foreign[second]
    later, earlier = np.where(is_turned, first, second), np.where(is_turned, second, first)
    found = pd.DataFrame(
        {
            "later": runs["declared_run_id"].to_numpy()[later],
            "earlier": runs["declared_run_id"].to_numpy()[earlier],
            "apart_s": (start[second] - start[first]) / 1e6,
            "is_nowhere": is_nowhere,
            "is_foreign": is_foreign[later] & ~is_foreign[earlier],
            "at": later,
            "of": earlier,
        }
    )
    found = (
        found[is_same & ~is_next & ~is_other_night]
        .sort_values(["at", "is_foreign", "apart_s", "of"], ascending=[True, False, True, False])
        .drop_duplicates("at")
    )
    return found.drop(columns=["at", "of"]).reset_index(drop=True)


def with_known_carriers(runs: pd.DataFrame, registered: pd.DataFrame, known: Collection[str]) -> pd.DataFrame:
    """The runs; an EMPRESA that is the code of no `known` carrier, or empty, is the vehicle's own on the run's day.

    A carrier that wrote its name otherwise than the register has it was another one: all its runs were held. What one
    left empty was disallowed (D05) of the vehicle's carrier, and stood in no carrier's waterfall.
    """
    owner, written = _owners(runs, registered), runs["carrier_code"].astype(object)
    is_unknown = ~written.isin(list(known)) & owner.notna()
    return runs.assign(carrier_code=written.mask(is_unknown, owner).astype(runs["carrier_code"].dtype))


def of_another_carrier(rows: pd.DataFrame, registered: pd.DataFrame) -> np.ndarray:
    """Whether the carrier of each row (plate, operational_date, carrier_code) is not the vehicle's on its day.

    Not where either is unknown.
    """
    owner, own = _owners(rows, registered), rows["carrier_code"].astype(object)
    is_other: np.ndarray = (own.notna() & owner.notna() & (own != owner)).to_numpy(dtype=bool)
    return is_other


def _owners(rows: pd.DataFrame, registered: pd.DataFrame) -> pd.Series:
    """The carrier of each row's vehicle on its day (plate, operational_date); missing where the register has none."""
    owners, asked = (
        pd.DataFrame({"plate": frame["plate"].to_numpy(dtype=object), "day": as_days(frame["operational_date"])})
        for frame in (registered, rows)
    )
    owners = owners.assign(owner=registered["carrier_code"].to_numpy(dtype=object))
    owners = owners.drop_duplicates(["plate", "day"], keep="last")
    found = asked.merge(owners, on=["plate", "day"], how="left")["owner"]
    return pd.Series(found.to_numpy(dtype=object), index=rows.index)


def writers(runs: pd.DataFrame, foreign: Collection[str], repeats: pd.DataFrame) -> dict[str, str]:
    """declared_run_id → carrier of the `foreign` runs; a repeat has that of the run that it repeats, "" if its owner's.

    `repeats` are the `duplicates` of the runs.
    """
    chosen = runs[runs["declared_run_id"].isin(list(foreign))]
    found = dict(zip(chosen["declared_run_id"], chosen["carrier_code"], strict=True))
    for repeat in repeats.itertuples():  # in order of start: what a repeat of a repeat names is known
        if repeat.later in found:
            found[repeat.later] = found.get(repeat.earlier, "")
    return found


def folded_places(texts: pd.Series) -> np.ndarray:
    """Texts as they are compared: folded, without stray dots; a missing one is empty."""
    codes, distinct = pd.factorize(texts, use_na_sentinel=False)
    return np.array([plain_place(text) for text in distinct], dtype=object)[codes]
