"""What a NUMERO ATA identifies: one run of one carrier, until the carrier begins to count again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days

NUMBER_KEY = ("carrier_code", "number_series", "bulletin_number")
_FEW = 0.1  # of a year's numbers may be mistyped


def with_number_series(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with number_series: how often the carrier may have begun to count again before DATA, among these runs.

    Many carriers begin again each January: ata 1 of 01/01 is not ata 1 of the 31/12 before. One counts on where half
    of its numbers of the new year are not below those of the old year, and the new year has fewer runs than would lead
    from 1 up to these; else nothing shows it, as of a carrier that began in December, and no number of one year is one
    of the other. One January ata numbered 0, or 702 for 7002, decided for all. Of 1-7001 the last digits count.
    """
    carriers = runs["carrier_code"].astype(object).fillna("").to_numpy()
    years = pd.DatetimeIndex(as_days(runs["declared_date"])).year
    digits = runs["bulletin_number"].astype("str").str.extract(r"(\d+)\D*$", expand=False)
    numbers = pd.Series(pd.to_numeric(digits, errors="coerce").to_numpy(dtype=float, na_value=np.nan))
    of_year = numbers.groupby([carriers, years.to_numpy()])
    middle = of_year.quantile(0.5, interpolation="higher")
    before = of_year.quantile(_FEW, interpolation="lower").groupby(level=0).shift()
    counts_on = (middle >= before) & (of_year.nunique() < before)
    series = (~counts_on).groupby(level=0).cumsum().reindex(pd.MultiIndex.from_arrays([carriers, years]))
    return runs.assign(number_series=series.to_numpy(dtype=int))
