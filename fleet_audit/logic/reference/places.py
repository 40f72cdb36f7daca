"""Places (points of interest): the place of a point or an address on a day, and its kind.

Whether an arrival ends a trip is decided here, the purpose of the trip in `classification`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.primitives.sphere import EARTH_RADIUS_M, distance_m
from fleet_audit.logic.reference.validity import validity

WORKPLACES = ("usina", "frente")
TRIP_ENDS = ("usina", "frente", "garagem", "oficina")
CANDIDATES_SEPARATOR = ", "  # between the places that a cell of rounded coordinates touches
ANYWHERE = "?"  # the candidate of a stop without a fix, or whose cells contradict each other or the odometer
_CIRCLE_CORNERS = 64  # their polygon is 0.2 % smaller than the circle
_METRES_PER_DEGREE = EARTH_RADIUS_M * np.pi / 180


class Places:
    """The rows of `ref.pois`, indexed for questions about whole columns."""

    def __init__(self, pois: pd.DataFrame) -> None:
        """Index the rows. Raises ValueError naming the place when a polygon cannot be read."""
        starts = validity(pois)[0]
        pois = pois.iloc[np.lexsort((starts, pois["poi_id"].to_numpy(dtype=object).astype(str)))].reset_index(drop=True)
        self._poi_id = pois["poi_id"].to_numpy(dtype=object)
        self._name = pois["name"].to_numpy(dtype=object, na_value=None)
        self._kind = pois["kind"].to_numpy(dtype=object)
        self._ends_trip = np.isin(self._kind.astype(str), TRIP_ENDS)
        self._starts, self._ends = validity(pois)
        self._latitude = pois["latitude"].to_numpy(dtype=float, na_value=np.nan)
        self._longitude = pois["longitude"].to_numpy(dtype=float, na_value=np.nan)
        self._radius_m = pois["radius_m"].to_numpy(dtype=float, na_value=np.nan)
        self._polygons = _read_polygons(pois)
        self._has_polygon = ~shapely.is_missing(self._polygons)
        self._rank = _ranks(self._ends_trip, self._areas_m2())
        self._outlines = np.where(self._has_polygon, self._polygons, self._circle_boxes())
        self._west, self._south, self._east, self._north = shapely.bounds(self._outlines).T
        self._patterns = self._read_patterns(pois["address_pattern"])

    def locate(self, latitude: object, longitude: object, local_day: object) -> np.ndarray:
        """poi_id (None: none) of each point: the place valid on its local day whose polygon, or else circle, holds it.

        Outlines are inclusive. Of several one that ends trips wins, then the smallest, then the first poi_id.
        latitude, longitude: degrees WGS 84, NaN = unknown; local_day: one date, or one for each point.
        """
        latitudes, longitudes = (np.asarray(values, dtype=float) for values in (latitude, longitude))
        point, row = self._near(latitudes, longitudes)
        days = np.broadcast_to(as_days(local_day), latitudes.shape)[point]
        is_valid = (self._starts[row] <= days) & (days <= self._ends[row])
        point, row = point[is_valid], row[is_valid]
        inside = np.where(
            self._has_polygon[row],
            shapely.intersects_xy(self._polygons[row], longitudes[point], latitudes[point]),
            distance_m(latitudes[point], longitudes[point], self._latitude[row], self._longitude[row])
            <= self._radius_m[row],
        )
        return self._first_of(point[inside], row[inside], self._rank[row[inside]], len(latitudes))

    def locate_cells(self, cells: pd.DataFrame, local_day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """poi_id that `locate` gives for every point of each cell (None: not one for all), and the possible ones.

        cells: south, north, west, east (degrees, inclusive). The possible ones are the places valid on the cell's local
        day of which it holds a point: sorted poi_ids, comma separated; None where there is none, or where it is proven.
        A place is proven where it holds the whole cell and wins over all others that the cell touches.
        """
        south, north, west, east = (cells[name].to_numpy(dtype=float) for name in ("south", "north", "west", "east"))
        boxes = shapely.box(west, south, east, north)
        row, cell = np.asarray(shapely.STRtree(boxes).query(self._outlines))
        days = np.asarray(local_day)[cell]
        is_valid = (self._starts[row] <= days) & (days <= self._ends[row])
        cell, row = cell[is_valid], row[is_valid]
        latitude, longitude = self._latitude[row], self._longitude[row]
        axes = ((latitude, south[cell], north[cell]), (longitude, west[cell], east[cell]))
        nearest = [np.clip(at, low, high) for at, low, high in axes]
        farthest = [np.where(2 * at > low + high, low, high) for at, low, high in axes]
        polygons, boxes, is_polygon = self._polygons[row], boxes[cell], self._has_polygon[row]
        reach = self._radius_m[row]
        touches, holds = (
            np.where(is_polygon, of_polygon(polygons, boxes), distance_m(latitude, longitude, *point) <= reach)
            for of_polygon, point in ((shapely.intersects, nearest), (shapely.covers, farthest))
        )
        cell, row, holds = cell[touches], row[touches], holds[touches]
        worst_first = np.argsort(-self._rank[row], kind="stable")
        best = np.full(len(cells), -1)
        best[cell[worst_first]] = np.where(holds, row, -1)[worst_first]
        possible = pd.DataFrame({"cell": cell, "poi_id": self._poi_id[row]}).drop_duplicates().sort_values("poi_id")
        named = possible.groupby("cell")["poi_id"].agg(CANDIDATES_SEPARATOR.join).reindex(range(len(cells)))
        is_proven = best >= 0
        proven = np.full(len(cells), None, dtype=object)
        proven[is_proven] = self._poi_id[best[is_proven]]
        return proven, named.astype(object).where(named.notna() & ~is_proven, None).to_numpy(dtype=object)

    def shares_of_cells(self, cells: pd.DataFrame, poi_ids: np.ndarray, local_day: np.ndarray) -> np.ndarray:
        """The share of each cell (as in `locate_cells`) that its place of that day holds, 0 to 1."""
        cell, row = self._rows_of(*pd.factorize(poi_ids))
        days = np.asarray(local_day)[cell]
        is_valid = (self._starts[row] <= days) & (days <= self._ends[row])
        cell, row = cell[is_valid], row[is_valid]
        south, north, west, east = (cells[name].to_numpy()[cell] for name in ("south", "north", "west", "east"))
        latitude, longitude, height = (
            self._latitude[row],
            self._longitude[row],
            self._radius_m[row] / _METRES_PER_DEGREE,
        )
        width = height / np.maximum(np.cos(np.radians(np.abs(latitude))), 1e-6)
        angle = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)[:, np.newaxis]
        corners = np.stack([longitude + width * np.sin(angle), latitude + height * np.cos(angle)], axis=-1)
        outlines = np.array(self._polygons[row])
        is_circle = ~self._has_polygon[row]
        outlines[is_circle] = shapely.polygons(corners[:, is_circle].swapaxes(0, 1))
        held = shapely.area(shapely.intersection(outlines, shapely.box(west, south, east, north)))
        area, share = (north - south) * (east - west), np.zeros(len(cells))
        np.divide(held, area, out=held, where=area > 0)
        np.maximum.at(share, cell, np.where(area > 0, held, 0.0))
        return share

    def locate_address(self, addresses: pd.Series, local_day: object) -> np.ndarray:
        """poi_id (None: none) of each address: the valid place whose pattern it contains, case and accents ignored.

        The longest pattern wins, then the first poi_id. local_day: one date, or one for each address.
        """
        codes, distinct = pd.factorize(addresses)
        folded = pa.array([fold(str(address)) for address in distinct], type=pa.string())
        days = np.broadcast_to(as_days(local_day), len(addresses))
        best = np.full(len(addresses), None, dtype=object)
        for row, pattern in self._patterns:  # worst first, so that a better one overwrites it
            contains = pc.match_substring(folded, pattern).to_numpy(zero_copy_only=False)
            hit = np.append(contains, False)[codes] & (self._starts[row] <= days) & (days <= self._ends[row])
            best[hit] = self._poi_id[row]
        return best

    def kinds(self, poi_ids: object, local_day: object | None = None) -> np.ndarray:
        """Kind of each place (None where the id is missing or unknown), as of the day; without one, of its last row."""
        return self._look_up(self._kind, poi_ids, local_day)

    def names(self, poi_ids: object, local_day: object | None = None) -> np.ndarray:
        """Name of each place, looked up as `kinds` does."""
        return self._look_up(self._name, poi_ids, local_day)

    def ends_trip(self, poi_ids: object, local_day: object | None = None) -> np.ndarray:
        """Whether arriving there ends a trip (`usina`, `frente`, `garagem`, `oficina`)."""
        return self._look_up(self._ends_trip, poi_ids, local_day).astype(bool)

    def _look_up(self, values: np.ndarray, poi_ids: object, local_day: object | None) -> np.ndarray:
        codes, ids = pd.factorize(np.asarray(poi_ids, dtype=object))
        if local_day is None:  # rows of one place are in order of validity: its last one stays
            last = {poi_id: row for row, poi_id in enumerate(self._poi_id)}
            found = [values[last[poi_id]] if poi_id in last else None for poi_id in ids]
            return np.array([*found, None], dtype=object)[codes]
        point, row = self._rows_of(codes, ids)
        days = np.broadcast_to(as_days(local_day), len(codes))[point]
        holds = (self._starts[row] <= days) & (days <= self._ends[row])
        result = np.full(len(codes), None, dtype=object)
        result[point[holds]] = values[row[holds]]
        return result

    def _rows_of(self, codes: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of an asked id's number and a row of that place, rows in order."""
        asked = pd.DataFrame({"code": codes, "point": np.arange(len(codes))})
        rows = pd.DataFrame({"code": pd.Index(ids).get_indexer(self._poi_id), "row": np.arange(len(self._poi_id))})
        pairs = asked[codes >= 0].merge(rows, on="code").sort_values("row", kind="stable")
        return pairs["point"].to_numpy(), pairs["row"].to_numpy()

    def is_beyond(self, latitude: np.ndarray, longitude: np.ndarray, km: float) -> np.ndarray:
        """Whether each point lies so many km or more outside of every box around neighbouring places of all days.

        Kilometres are degrees here, north or south and east or west; NaN, and without places no point, is not outside.
        One box around all places once accepted any fix because one place had lost the sign of its coordinates.
        """
        margin = km * 1000 / _METRES_PER_DEGREE
        boxes = self._neighbourhoods
        outside = np.flatnonzero(~np.isnan(latitude + longitude)) if len(boxes) else np.empty(0, dtype=np.int64)
        for south, north, west, east in boxes:
            side = margin / max(np.cos(np.radians(max(abs(south), abs(north)))), 0.1)
            lat, lon = latitude[outside], longitude[outside]
            is_outside = (lat < south - margin) | (lat > north + margin) | (lon < west - side) | (lon > east + side)
            outside = outside[is_outside]
        is_beyond = np.zeros(len(latitude), dtype=bool)
        is_beyond[outside] = True
        return is_beyond

    @cached_property
    def _neighbourhoods(self) -> np.ndarray:
        """South, north, west and east of the places in each square of one degree, the fullest first."""
        known = ~np.isnan(self._south)
        boxes = pd.DataFrame({"south": self._south, "north": self._north, "west": self._west, "east": self._east})[
            known
        ]
        squares = boxes.groupby([np.floor(boxes["south"]), np.floor(boxes["west"])])
        found = squares.agg({"south": "min", "north": "max", "west": "min", "east": "max"})
        return found.to_numpy()[np.argsort(-squares.size().to_numpy(), kind="stable")]

    def is_remote(self, latitude: np.ndarray, longitude: np.ndarray, metres: float) -> np.ndarray:
        """Whether no place of any day has its box within so many metres, north or south, east or west, of a point."""
        near, _ = self._near(latitude, longitude, metres / _METRES_PER_DEGREE * 1.001)
        remote = np.ones(len(latitude), dtype=bool)
        remote[near] = False
        return remote

    def _near(
        self, latitudes: np.ndarray, longitudes: np.ndarray, margin: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a point and a row whose box holds it: those in the row's band of latitude, then those of its width.

        A margin widens the boxes by so many degrees of latitude and as many metres of longitude.
        A tree of boxes asks for a geometry a point, and making these took five times as long as all the rest.
        """
        order = np.argsort(latitudes)[: np.count_nonzero(~np.isnan(latitudes))]
        low = np.searchsorted(latitudes[order], self._south - margin, side="left")
        high = np.searchsorted(latitudes[order], self._north + margin, side="right")
        count = np.where(np.isnan(self._south), 0, high - low)
        row = np.repeat(np.arange(len(count)), count)
        point = order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - low, count)]
        side = margin / np.maximum(np.cos(np.radians(np.abs(latitudes[point]) + margin)), 1e-6) if margin else 0.0
        near = (self._west[row] - side <= longitudes[point]) & (longitudes[point] <= self._east[row] + side)
        return point[near], row[near]

    def _first_of(self, point: np.ndarray, row: np.ndarray, rank: np.ndarray, count: int) -> np.ndarray:
        result = np.full(count, None, dtype=object)
        worst_first = np.argsort(-rank, kind="stable")
        result[point[worst_first]] = self._poi_id[row[worst_first]]
        return result

    def _areas_m2(self) -> np.ndarray:
        middle = np.nan_to_num(shapely.get_y(shapely.centroid(self._polygons)))
        polygon = shapely.area(self._polygons) * _METRES_PER_DEGREE**2 * np.cos(np.radians(middle))
        return np.where(self._has_polygon, polygon, np.pi * self._radius_m**2)

    def _circle_boxes(self) -> np.ndarray:
        """Boxes around the circles, a thousandth wider: they only preselect. None where a circle is incomplete."""
        height = self._radius_m / _METRES_PER_DEGREE * 1.001 + 1e-9
        width = height / np.maximum(np.cos(np.radians(np.abs(self._latitude) + height)), 1e-6)
        known = ~np.isnan(self._latitude + self._longitude + self._radius_m)
        boxes = np.full(len(known), None, dtype=object)
        west, south = self._longitude - width, self._latitude - height
        east, north = self._longitude + width, self._latitude + height
        boxes[known] = shapely.box(west[known], south[known], east[known], north[known])
        return boxes

    def _read_patterns(self, patterns: pd.Series) -> list[tuple[int, str]]:
        folded = [(row, fold(str(pattern))) for row, pattern in patterns.dropna().items()]
        worst_first = sorted(folded, key=lambda item: (-len(item[1]), self._poi_id[item[0]]), reverse=True)
        return [(int(row), pattern) for row, pattern in worst_first if pattern]


def _read_polygons(pois: pd.DataFrame) -> np.ndarray:
    texts = pois["polygon_wkt"].to_numpy(dtype=object, na_value=None)
    polygons = np.full(len(texts), None, dtype=object)
    for row, text in enumerate(texts):
        if text is None or not text.strip():
            continue
        try:
            outline = shapely.from_wkt(text)
        except shapely.errors.GEOSException as error:
            raise ValueError(
                f"reference/pois.csv: polygon_wkt of {pois['poi_id'].iloc[row]} is not WKT: {error}"
            ) from None
        polygons[row] = shapely.make_valid(outline)
    shapely.prepare(polygons)
    return polygons


def _ranks(ends_trip: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Lowest wins: places that end trips, then the smallest; rows already are in order of poi_id."""
    rank = np.empty(len(areas), dtype=np.int64)
    rank[np.lexsort((areas, ~ends_trip))] = np.arange(len(areas))
    return rank
