"""What a NUMERO ATA identifies: one run of one carrier, until the carrier begins to count again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days

NUMBER_KEY = ("carrier_code", "number_series", "bulletin_number")
_FEW = 0.1  # of a year's numbers may be mistyped
_GROUPS = r"(?:(?:(\d+)\D+)?(\d+)\D+)?(\d+)\D*$"  # the last three groups of digits


def with_number_series(runs: pd.DataFrame, first_day: int = 1) -> pd.DataFrame:
    """`runs` with number_series: how often the carrier may have begun to count again before DATA, among these runs.

    Many carriers begin again each January: ata 1 of 01/01 is not ata 1 of the 31/12 before. One counts on where half
    of its numbers of the new year are not below those of the old year, and the new year has fewer runs than would lead
    from 1 up to these; else nothing shows it, as of a carrier that began in December, and no number of one year is one
    of the other. One January ata numbered 0, or 702 for 7002, decided for all. Some begin again each month or each
    cycle: there the numbers of most vehicles fall. A number that names its year, as 7001/2025, is never one of another
    year.

    Args:
        runs: declared runs.
        first_day: day on which the carrier may begin again beside the first of the month: that of the cycle.
    """
    carriers = runs["carrier_code"].astype(object).fillna("").to_numpy()
    dates = pd.DatetimeIndex(as_days(runs["declared_date"]))
    years, plates = dates.year.to_numpy(), runs["plate"].to_numpy(dtype=object)
    groups = runs["bulletin_number"].astype("str").str.extract(_GROUPS).apply(pd.to_numeric).astype(float)
    groups = groups.reset_index(drop=True)
    numbers = _counted_group(groups, carriers, plates)
    named = groups.where(groups.isin([*set(years), *set(years - 1)])).max(axis=1)
    names_year = ((groups.notna().sum(axis=1) > 1) & named.notna()).to_numpy()
    of_years = np.where(names_year, named.fillna(0), _series_of_years(numbers, carriers, years)).astype(int)
    begun = [dates - pd.Timedelta(days=day - 1) for day in {1, first_day}]
    months = [(each.year * 12 + each.month).to_numpy() for each in begun]
    of_months = [_series_of_months(numbers, carriers, of_years, plates, each) for each in months]
    return runs.assign(number_series=of_years + sum(of_months))


def _counted_group(groups: pd.DataFrame, carriers: np.ndarray, plates: np.ndarray) -> pd.Series:
    """The group of digits of which each carrier's vehicles have most values, of several the last one.

    1-7001 counts 7001; 1-4512 and 2-4512 count 1 and 2 of the bus 4512.
    """
    last_first = groups.loc[:, ::-1]
    of_vehicles = last_first.groupby([carriers, plates]).nunique().groupby(level=0).sum()
    chosen = of_vehicles.to_numpy().argmax(axis=1) if len(of_vehicles) else np.zeros(0, dtype=int)
    at = chosen[of_vehicles.index.get_indexer(carriers)]
    return pd.Series(last_first.to_numpy()[np.arange(len(groups)), at], index=groups.index)


def _series_of_years(numbers: pd.Series, carriers: np.ndarray, years: np.ndarray) -> np.ndarray:
    of_year = numbers.groupby([carriers, years])
    middle = of_year.quantile(0.5, interpolation="higher")
    before = of_year.quantile(_FEW, interpolation="lower").groupby(level=0).shift()
    return _counted(~((middle >= before) & (of_year.nunique() < before)), carriers, years)


def _series_of_months(
    numbers: pd.Series, carriers: np.ndarray, of_years: np.ndarray, plates: np.ndarray, months: np.ndarray
) -> np.ndarray:
    """Where most vehicles' numbers fall: a quarter of a month's is below the middle of the month before.

    Each vehicle by itself, as its pad may be numbered by itself, and each year's series.
    """
    of_month = numbers.groupby([carriers, of_years, plates, months])
    before = of_month.quantile(0.5, interpolation="lower").groupby(level=[0, 1, 2]).shift()
    falls = (of_month.quantile(0.25, interpolation="higher") < before)[before.notna()]
    return _counted(falls.groupby(level=[0, 1, 3]).mean() > 0.5, carriers, of_years, months)


def _counted(begins: pd.Series, carriers: np.ndarray, *periods: np.ndarray) -> np.ndarray:
    """Of each run, in how many periods up to its own its carrier begins again; `begins` by carrier and period."""
    every = pd.MultiIndex.from_arrays([carriers, *periods])
    count = begins.reindex(every.unique().sort_values(), fill_value=False).groupby(level=0).cumsum()
    return count.reindex(every).to_numpy(dtype=int)
