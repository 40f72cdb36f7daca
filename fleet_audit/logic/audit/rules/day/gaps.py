"""Vehicle-days of which a source is incomplete, and which rows touch them, for all gaps at once.

Which days are incomplete is decided in `logic.audit.incomplete`, what a rule concludes from that in `findings`.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.wall_clock import local_days

_SCOPES = ("carrier_code", "plate")  # a gap is of all where both are empty


def without_seen(gaps: pd.DataFrame, runs: pd.DataFrame, spans: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """The gaps, without those of a vehicle that positions (P) observed on its local day, or that declared a run (B).

    Of a visit report (V) the other movements prove nothing: the refused one may be that which a run declares.

    Args:
        gaps: `incomplete.incomplete_sources`.
        runs: plate, declared_date; spans: the observed spans.
        zones: IANA zone of each span's plate.
    """
    source = gaps["source"].to_numpy(dtype=object)
    named = _index(gaps["plate"], as_days(gaps["operational_date"]))
    is_declared = (source == "B") & named.isin(_index(runs["plate"], as_days(runs["declared_date"])))
    is_observed = (source == "P") & named.isin(_observed_days(spans, zones))
    return gaps[(gaps["plate"] == "").to_numpy(dtype=bool) | ~(is_declared | is_observed)]


def touches(
    gaps: pd.DataFrame, rows: pd.DataFrame, zones: pd.Series, plates_with_positions: AbstractSet[str]
) -> pd.Series:
    """Whether each trip or run starts or ends, by its vehicle's clock, on the day of a gap of its carrier or vehicle.

    A gap of visit reports concerns vehicles without positions only.
    """
    flags = np.zeros(len(rows), dtype=bool)
    if gaps.empty or rows.empty:
        return pd.Series(flags, index=rows.index)
    ends = [local_days(rows[name], zones) for name in ("started_at", "ended_at")]
    is_unseen = ~rows["plate"].isin(list(plates_with_positions)).to_numpy(dtype=bool)
    kinds = [gaps["source"].eq("V").rename("is_report"), *(gaps[name].ne("") for name in _SCOPES)]
    for (is_report, *is_named), part in gaps.groupby(kinds):
        names = [name for name, is_given in zip(_SCOPES, is_named, strict=True) if is_given]
        wanted = _index(as_days(part["operational_date"]), *(part[name] for name in names))
        for day in ends:
            is_touched = _index(day, *(rows[name] for name in names)).isin(wanted)
            flags |= is_touched & is_unseen if is_report else is_touched
    return pd.Series(flags, index=rows.index)


def _observed_days(spans: pd.DataFrame, zones: pd.Series) -> pd.MultiIndex:
    """Plate and local day of each day that a span of positions reaches into."""
    is_of_positions = spans["source"].eq("positions").to_numpy(dtype=bool)
    own, zones = spans[is_of_positions], zones[is_of_positions]
    first = local_days(own["started_at"], zones)
    last = local_days(own["ended_at"] - pd.Timedelta(microseconds=1), zones)
    count = np.maximum((last - first).astype("int64") + 1, 0)
    offset = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    return _index(own["plate"].repeat(count), np.repeat(first, count) + offset)


def _index(*columns: pd.Series | np.ndarray) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays(
        [column.astype(object) if isinstance(column, pd.Series) else column for column in columns]
    )
