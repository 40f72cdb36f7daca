"""What a NUMERO ATA identifies: one run of one carrier, until the carrier begins to count again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days

NUMBER_KEY = ("carrier_code", "number_series", "bulletin_number")


def with_number_series(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with number_series: how often the carrier began to count again before DATA as written, among these runs.

    Many carriers begin again each January: ata 1 of 01/01 is not ata 1 of the 31/12 before. The lowest number of the
    new year shows it, which is 1 or below the lowest of the old year. To be below the highest of the old year proves
    nothing: a December number that is declared again in January is, too.
    """
    carriers = runs["carrier_code"].astype(object).fillna("").to_numpy()
    years = pd.DatetimeIndex(as_days(runs["declared_date"])).year
    digits = runs["bulletin_number"].astype("str").str.extract(r"(\d+)", expand=False)
    numbers = pd.Series(pd.to_numeric(digits, errors="coerce").to_numpy(dtype=float, na_value=np.nan))
    lowest = numbers.groupby([carriers, years.to_numpy()]).min()
    begins = (lowest <= 1) | (lowest < lowest.groupby(level=0).shift())
    series = begins.groupby(level=0).cumsum().reindex(pd.MultiIndex.from_arrays([carriers, years]))
    return runs.assign(number_series=series.to_numpy(dtype=int))
