"""The rules in polars: one sort, shifts instead of windows over groups, everything lazy until the runs."""

from __future__ import annotations

import polars as pl
from harness import run
from joining import EARTH_RADIUS_M, join

SAME = pl.col("device_id") == pl.col("device_id").shift(1)


def _metres(before: int, after: int) -> pl.Expr:
    """Distance between the points so many rows away."""
    lat_a, lon_a, lat_b, lon_b = (pl.col(name).shift(rows) for rows in (before, after) for name in ("lat", "lon"))
    cos = pl.col("cos").shift(before) * pl.col("cos").shift(after)
    chord = ((lat_b - lat_a) / 2).sin() ** 2 + cos * ((lon_b - lon_a) / 2).sin() ** 2
    return 2 * EARTH_RADIUS_M * chord.sqrt().arcsin()


def trips(positions: str, places: str) -> dict:
    points = (
        pl.scan_parquet(positions)
        .select(
            pl.col("device_id").cast(pl.Categorical),
            seconds=pl.col("recorded_at").dt.epoch("s"),
            lat=pl.col("latitude").radians(),
            lon=pl.col("longitude").radians(),
            odometer=pl.col("odometer_km"),
        )
        .filter(pl.col("lat").is_not_null())
        .with_columns(pl.col("device_id").to_physical().alias("device"))
        .sort("device", "seconds")
        .filter(~(SAME & (pl.col("seconds") == pl.col("seconds").shift(1))).fill_null(False))
        .with_columns(cos=pl.col("lat").cos())
        .with_columns(metres=_metres(1, 0))
        .collect()
    )
    counted = (pl.col("odometer").shift(-1) - pl.col("odometer").shift(1)) * 1000
    is_off = (
        SAME
        & (pl.col("device_id") == pl.col("device_id").shift(-1))
        & (pl.col("metres") > 150)
        & (_metres(1, -1) <= 150)
        & ~(counted >= pl.col("metres")).fill_null(False)
    ).fill_null(False)
    elapsed = pl.col("seconds") - pl.col("seconds").shift(1)
    runs = (
        points.lazy()
        .filter(~is_off)
        .with_columns(
            metres=pl.when(SAME).then(_metres(1, 0)).otherwise(0.0), elapsed=elapsed, same=SAME.fill_null(False)
        )
        .with_columns(is_split=~pl.col("same") | ((pl.col("elapsed") > 3600) & (pl.col("metres") > 150)))
        .with_columns(
            is_standing=~pl.col("is_split") & (pl.col("metres") * 3.6 < 5 * pl.col("elapsed")),
            part=pl.col("is_split").cum_sum(),
            path=pl.col("metres").cum_sum() / 1000,
        )
        .with_columns(
            run=(pl.col("is_standing") & ~pl.col("is_standing").shift(1, fill_value=False)).cum_sum(),
            **{f"{name}_before": pl.col(name).shift(1) for name in ("seconds", "path", "odometer")},
        )
        .filter(pl.col("is_standing"))
        .group_by("run", maintain_order=True)
        .agg(
            device_id=pl.col("device_id").first(),
            part=pl.col("part").first(),
            first_at=pl.col("seconds_before").first().cast(pl.Float64),
            last_at=pl.col("seconds").last().cast(pl.Float64),
            latitude=pl.col("lat").median().degrees(),
            longitude=pl.col("lon").median().degrees(),
            path_first=pl.col("path_before").first(),
            path_last=pl.col("path").last(),
            odometer_first=pl.col("odometer_before").first(),
            odometer_last=pl.col("odometer").last(),
        )
        .with_columns(standing_s=pl.col("last_at") - pl.col("first_at"), device_id=pl.col("device_id").cast(pl.String))
        .drop("run")
        .collect()
    )
    return join({name: runs[name].to_numpy() for name in runs.columns}, places)


if __name__ == "__main__":
    run(trips)
