"""What a NUMERO ATA identifies: one run of one carrier and year."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days

NUMBER_KEY = ("carrier_code", "number_year", "bulletin_number")


def with_number_years(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with number_year: the year of DATA as written, in which the carrier counts its numbers.

    Carriers begin again at 1 each January: ata 1 of 01/01 is not ata 1 of the 31/12 before.
    """
    years = as_days(runs["declared_date"]).astype("datetime64[Y]").astype(np.int64) + 1970
    return runs.assign(number_year=years)
