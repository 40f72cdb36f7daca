"""The rules in SQL, by DuckDB: window functions over devices."""

from __future__ import annotations

import duckdb
from harness import run
from joining import join

MACRO = """create or replace macro metres(lat_a, lon_a, lat_b, lon_b) as
    2 * 6371008.8 * asin(sqrt(least(1.0, pow(sin((lat_b - lat_a) / 2), 2)
    + cos(lat_a) * cos(lat_b) * pow(sin((lon_b - lon_a) / 2), 2))))"""
RUNS = """
with points as (
    select device_id, epoch_us(recorded_at) // 1000000 as t, radians(latitude) as lat, radians(longitude) as lon,
           any_value(odometer_km) as odometer
    from read_parquet(?) where latitude is not null group by all
), around as (
    select *, lag(lat) over w as lat_a, lag(lon) over w as lon_a, lag(odometer) over w as odometer_a,
           lead(lat) over w as lat_c, lead(lon) over w as lon_c, lead(odometer) over w as odometer_c
    from points window w as (partition by device_id order by t)
), believed as (
    select device_id, t, lat, lon, odometer from around
    where not coalesce(metres(lat_a, lon_a, lat, lon) > 150 and metres(lat_a, lon_a, lat_c, lon_c) <= 150
        and not coalesce((odometer_c - odometer_a) * 1000 >= metres(lat_a, lon_a, lat, lon), false), false)
), steps as (
    select *, t - lag(t) over w as elapsed, metres(lag(lat) over w, lag(lon) over w, lat, lon) as metres,
           lag(t) over w as t_before, lag(odometer) over w as odometer_before
    from believed window w as (partition by device_id order by t)
), judged as (
    select *, (elapsed is null or (elapsed > 3600 and metres > 150)) as is_split,
           coalesce(not (elapsed > 3600 and metres > 150) and metres * 3.6 < 5 * elapsed, false) as is_standing
    from steps
), numbered as (
    select *, sum(is_split::int) over w as part, sum(coalesce(metres, 0)) over w / 1000 as path,
           sum((not is_standing)::int) over w as run
    from judged window w as (partition by device_id order by t rows unbounded preceding)
)
select device_id, min(part)::bigint as part, min(t_before)::double as first_at, max(t)::double as last_at,
       degrees(median(lat)) as latitude, degrees(median(lon)) as longitude,
       min(path - metres / 1000) as path_first, max(path) as path_last,
       arg_min(odometer_before, t) as odometer_first, arg_max(odometer, t) as odometer_last
from numbered where is_standing group by device_id, run order by device_id, first_at
"""


def trips(positions: str, places: str) -> dict:
    connection = duckdb.connect()
    connection.execute(MACRO)
    runs = connection.execute(RUNS, [positions]).to_arrow_table()
    columns = {name: runs[name].to_numpy() for name in runs.column_names}
    return join({**columns, "standing_s": columns["last_at"] - columns["first_at"]}, places)


if __name__ == "__main__":
    run(trips)
