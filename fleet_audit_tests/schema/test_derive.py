"""A table's rows have one order, whichever library sorts them: by its sort columns, missing values first."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from fleet_audit.schema.derive import conform, empty_frame, from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.schema.registry import TABLES
from fleet_audit_tests.storage.rows import sample

SORTED = {name: described for name, described in TABLES.items() if described.sort}


@pytest.mark.parametrize("described", SORTED.values(), ids=SORTED)
def test_rows_stand_in_the_order_of_the_sort_columns(described: Table) -> None:
    rows = sample(described, dt.date(2025, 6, 10), 4)
    rows = pd.concat([rows, rows.iloc[::-1]], ignore_index=True)
    for at, name in enumerate(described.sort):
        if described.column(name).nullable:
            rows.loc[rows.index[at::3], name] = None
    rows = rows.iloc[np.random.default_rng(1).permutation(len(rows))]
    expected = rows.sort_values(list(described.sort), kind="stable", na_position="first").reset_index(drop=True)
    pd.testing.assert_frame_equal(conform(rows, described), expected)
    pd.testing.assert_frame_equal(from_arrow(to_arrow(rows, described), described), expected)


def test_labels_of_a_table_s_frames_are_python_strings_and_each_frame_s_own() -> None:
    described = TABLES["fact.trips"]
    filled = sample(described, dt.date(2025, 6, 10), 4)
    made = {
        "conform": conform(filled, described),
        "from_arrow": from_arrow(to_arrow(filled, described), described),
        "empty_frame": empty_frame(described),
    }
    for name, frame in made.items():
        assert (frame.columns.dtype, list(frame.columns)) == (object, described.column_names), name
        assert frame.drop(columns="plate").assign(more=1).columns.dtype == object, name
        frame.columns.name = name
    assert conform(filled, described).columns.name is None
    assert {frame.columns.name for frame in made.values()} == set(made)
