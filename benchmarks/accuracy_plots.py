"""The plots of the audit-quality report, as small SVG files: recall and precision, reliability, uncertainty.

Their figures come from `accuracy_figures`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "audit-quality", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False,
    "svg.fonttype": "none",
}  # fmt: skip
_BLUE, _ORANGE, _GREY = "#1f5a8a", "#c2571a", "#9a9a9a"


def plot_rules(table: pd.DataFrame, path: Path) -> None:
    """Recall and precision of each rule that has labels or findings, with their 95 % intervals."""
    shown = table[(table["labelled"] > 0) | (table["findings"] > 0)].iloc[::-1]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.5, 0.17 * len(shown) + 0.8), layout="constrained")
        for axes, name, count in zip(
            figure.subplots(1, 2, sharey=True), ("recall", "precision"), ("labelled", "findings"), strict=True
        ):
            _intervals(axes, shown[shown[count] > 0], shown.index, name)
        figure.savefig(path, metadata={"Date": None})


def _intervals(axes: Axes, rows: pd.DataFrame, order: pd.Index, name: str) -> None:
    places, share = order.get_indexer(rows.index), rows[name].to_numpy()
    low, high = rows[f"{name}_low"].to_numpy(), rows[f"{name}_high"].to_numpy()
    axes.axvline(98, color=_GREY, linewidth=0.8, linestyle=":")
    axes.hlines(places, 100 * low, 100 * high, color=_BLUE, linewidth=1)
    axes.plot(100 * share, places, "o", color=_BLUE, markersize=3)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlim(-2, 102)
    axes.set_xlabel(f"{name}, %")


def plot_reliability(buckets: pd.DataFrame, path: Path) -> None:
    """Share of findings that are true against the stated confidence, with the band of 5 points."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 3.4), layout="constrained")
        axes = figure.subplots()
        line = np.array([0.0, 1.0])
        axes.fill_between(line, line - 0.05, line + 0.05, color=_GREY, alpha=0.3, linewidth=0)
        axes.plot(line, line, color=_GREY, linewidth=0.8)
        share = buckets["share"].to_numpy()
        spread = np.abs(np.stack([share - buckets["low"], buckets["high"] - share]))
        axes.errorbar(buckets["confidence"], share, yerr=spread, fmt="o", color=_BLUE, markersize=4, linewidth=1)
        for row in buckets.itertuples():
            axes.annotate(f"n = {row.n}", (row.confidence, row.share), (5, -10), textcoords="offset points", fontsize=7)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="stated confidence", ylabel="share that is true")
        figure.savefig(path, metadata={"Date": None})


def plot_doubt(trips: pd.DataFrame, grades: pd.DataFrame, path: Path) -> None:
    """Errors of measured trips against their stated half-width, and the error per km of each grade."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.5, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        sample = trips.iloc[:: max(1, len(trips) // 250)]
        error = (sample["km"] - sample["km_true"]).abs().clip(lower=0.005)
        left.loglog(sample["half_width"].clip(lower=0.005), error, ".", color=_BLUE, markersize=2)
        ends = np.array([0.01, 10.0])
        left.loglog(ends, ends, color=_ORANGE, linewidth=0.8)
        left.set(xlabel="stated half-width, km", ylabel="error, km (below the line: held)")
        spread = np.abs(
            np.stack([grades["error_pct"] - grades["error_low"], grades["error_high"] - grades["error_pct"]])
        )
        right.bar(grades.index, grades["error_pct"], yerr=spread, color=_BLUE, width=0.5, ecolor=_GREY)
        right.set(xlabel="evidence grade", ylabel="error per km, %")
        figure.savefig(path, metadata={"Date": None})
