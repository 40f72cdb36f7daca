"""Each labelled fraud is in the data as its rule describes it, and nowhere else in what surrounds it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fleet_audit.simulation.fleet import simulate
from fleet_audit.simulation.planning.roster import cycle_days
from fleet_audit.simulation.planning.world import distance_m

FIRST, LAST = dt.date(2025, 6, 6), dt.date(2025, 6, 20)


class Scene:
    """A simulated fleet with frauds, and look-ups by label."""

    def __init__(self, out: Path) -> None:
        simulate(out, seed=21, vehicles=60, date_from=FIRST, date_to=LAST)
        self.frauds = pd.read_csv(out / "truth" / "frauds.csv", dtype=str, keep_default_na=False)
        self.trips = pd.read_csv(out / "truth" / "trips.csv", parse_dates=["started_at", "ended_at"])
        self.positions = pd.read_parquet(out / "api" / "positions.parquet").drop_duplicates(["device_id", "timestamp"])
        self.reference = {path.stem: pd.read_csv(path, dtype=str) for path in (out / "inbox" / "reference").iterdir()}
        self.vehicles = self.reference["vehicles"].set_index("plate")
        files = sorted((out / "inbox" / "bulletins").iterdir())
        runs = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False).assign(file=path.stem) for path in files])
        numbers = ["KM SAÍDA", "KM CHEGADA", "KM ROTA", "QTDE PESSOAS"]
        self.runs = runs.assign(**{name: runs[name].astype(int) for name in numbers}).reset_index(drop=True)

    def of(self, rule_id: str) -> pd.DataFrame:
        found = self.frauds[self.frauds.rule_id == rule_id]
        assert len(found) > 0
        return found

    def runs_of(self, rule_id: str) -> pd.DataFrame:
        """The runs that the labels of a rule name."""
        named = set(zip(self.of(rule_id).plate, self.of(rule_id).reference, strict=True))
        keys = zip(self.runs["PLACA"], self.runs["NUMERO ATA"], strict=True)
        return self.runs[[key in named for key in keys]]

    def track(self, plate: str, start: str, end: str) -> pd.DataFrame:
        """Positions of the device that the vehicle has then, by event time."""
        devices = self.reference["devices"]
        own = devices[(devices.plate == plate) & (devices.valid_from <= start[:10])].device_id.iloc[-1]
        track = self.positions[self.positions.device_id == own]
        return track[track.timestamp.between(pd.Timestamp(start), pd.Timestamp(end))].dropna(subset="odometer_km")

    def tracks(self, rule_id: str, around: str = "0s") -> list[pd.DataFrame]:
        labels, wide = self.of(rule_id), pd.Timedelta(around)
        bounds = zip(pd.to_datetime(labels.started_at) - wide, pd.to_datetime(labels.ended_at) + wide, strict=True)
        return [
            self.track(plate, str(start), str(end)) for plate, (start, end) in zip(labels.plate, bounds, strict=True)
        ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("frauds"))


def counted_km(track: pd.DataFrame) -> float:
    return float(track.odometer_km.iloc[-1] - track.odometer_km.iloc[0])


def path_km(track: pd.DataFrame) -> float:
    points = track[["latitude", "longitude"]].to_numpy()
    return float(distance_m(*points[:-1].T, *points[1:].T).sum() / 1000)


def test_runs_say_what_their_label_says(scene: Scene) -> None:
    written = scene.runs["KM CHEGADA"] - scene.runs["KM SAÍDA"]
    wrong = scene.runs.index[scene.runs["KM ROTA"] != written]
    assert set(wrong) == set(scene.runs_of("D11").index)
    assert (scene.runs_of("V06")["QTDE PESSOAS"] == 0).all()
    seats = scene.runs["PLACA"].map(scene.vehicles.seats).astype(int)
    assert set(scene.runs.index[scene.runs["QTDE PESSOAS"] > seats]) == set(scene.runs_of("V05").index)


def test_a_second_run_lies_in_another_one(scene: Scene) -> None:
    for run in scene.runs_of("T01").to_dict("records"):
        same_day = scene.runs[(scene.runs["PLACA"] == run["PLACA"]) & (scene.runs["DATA"] == run["DATA"])]
        before = same_day[same_day["NUMERO ATA"].astype(int) < int(run["NUMERO ATA"])].iloc[-1]
        assert before["HORÁRIO SAÍDA"] < run["HORÁRIO SAÍDA"] < before["HORÁRIO CHEGADA"] < run["HORÁRIO CHEGADA"]


def test_a_run_is_declared_on_both_sides_of_the_close(scene: Scene) -> None:
    for _, twice in scene.runs_of("D09").groupby(["PLACA", "NUMERO ATA"]):
        assert twice["DATA"].tolist() == ["15/06/2025", "16/06/2025"]
        assert twice.drop(columns=["DATA", "file"]).drop_duplicates().shape[0] == 1


def test_odometers_fall_jump_and_stand(scene: Scene) -> None:
    for track in scene.tracks("O01", "11min"):
        assert track.odometer_km.diff().min() < -25
        assert track.odometer_km.min() > 10
    for track in scene.tracks("O02", "11min"):
        assert track.odometer_km.diff().max() > 59
    for track in scene.tracks("O03"):
        assert counted_km(track) == 0
        assert path_km(track) > 5


def test_a_tracker_off_the_bus_stays_while_the_odometer_counts(scene: Scene) -> None:
    for track in scene.tracks("O04"):
        assert counted_km(track) > 20
        first = track.iloc[[0] * len(track)]
        away = distance_m(first.latitude.to_numpy(), first.longitude.to_numpy(), track.latitude.to_numpy(),
                          track.longitude.to_numpy())  # fmt: skip
        assert away.max() < 60


def test_an_odometer_that_counts_too_much_does_so_on_the_trips_named(scene: Scene) -> None:
    for label in scene.of("O05").itertuples():
        trip = scene.trips[(scene.trips.plate == label.plate) & (scene.trips.started_at == label.reference)].iloc[0]
        track = scene.track(label.plate, str(trip.started_at), str(trip.ended_at))
        assert counted_km(track) / path_km(track) == pytest.approx(1.15, abs=0.06)
        assert counted_km(track) - trip.km > 0.59  # more than the 0.5 km of the tolerance and the 0.1 km of a reading


def test_a_racing_bus_reports_it(scene: Scene) -> None:
    assert all((track.speed_kmh > 150).sum() >= 1 for track in scene.tracks("G01"))
    assert (scene.positions.speed_kmh > 150).sum() <= 4 * len(scene.of("G01"))


def test_a_device_that_is_off_wakes_elsewhere(scene: Scene) -> None:
    for label, track in zip(scene.of("G02").itertuples(), scene.tracks("G02", "11min"), strict=True):
        step_s = track.timestamp.diff().dt.total_seconds()
        assert step_s.max() > 3600
        before, after = track.iloc[[step_s.argmax() - 1]], track.iloc[[step_s.argmax()]]
        assert path_km(pd.concat([before, after])) > 1
        assert label.reference > label.ended_at


def test_a_day_sent_again_is_the_day_before_point_for_point(scene: Scene) -> None:
    for label in scene.of("G05").itertuples():
        day = pd.Timedelta("1D")
        start, end = pd.Timestamp(label.started_at), pd.Timestamp(label.ended_at) - pd.Timedelta("1s")
        now, before = (scene.track(label.plate, str(start - back), str(end - back)) for back in (0 * day, day))
        both = now.assign(timestamp=now.timestamp - day).merge(before, on="timestamp", suffixes=("", "_before"))
        assert len(both) > 0.98 * len(now)  # rows sent twice lose their odometer now and then
        assert (both.latitude == both.latitude_before).all()
        assert counted_km(now) > 10
        assert scene.trips[
            (scene.trips.plate == label.plate) & (scene.trips.operational_date == label.operational_date)
        ].empty


def test_exchanged_devices_count_on_from_the_other_bus(scene: Scene) -> None:
    exchanged = scene.of("O08")[scene.of("O08").started_at != scene.of("O08").ended_at]
    for _, pair in exchanged.groupby("operational_date"):
        for plate, other in (pair.plate, pair.plate[::-1]):
            label = pair[pair.plate == plate].iloc[0]
            before = pd.Timestamp(label.started_at) - pd.Timedelta("1h")
            own = scene.track(plate, label.started_at, label.ended_at)
            others = scene.track(other, str(before), label.started_at)
            assert own.odometer_km.iloc[0] == pytest.approx(others.odometer_km.iloc[-1], abs=0.2)


def test_trips_are_driven_as_labelled(scene: Scene) -> None:
    routes = scene.reference["routes"].set_index(["origin_poi_id", "destination_poi_id"]).expected_km.astype(float)
    labelled = {rule_id: scene.trips.merge(scene.of(rule_id)[["plate", "reference"]].assign(
        started_at=lambda rows: pd.to_datetime(rows.reference)), on=["plate", "started_at"])
        for rule_id in ("G06", "G07", "T02", "T03")}  # fmt: skip
    assert {name: len(rows) for name, rows in labelled.items()} == {
        name: len(scene.of(name)) for name in ("G06", "G07", "T02", "T03")
    }
    for trip in labelled["G06"].itertuples():
        assert trip.km > 1.25 * routes[trip.origin_poi_id, trip.destination_poi_id]
    for trip in labelled["G07"].itertuples():
        track = scene.track(trip.plate, str(trip.started_at), str(trip.ended_at))
        stands = (track.speed_kmh == 0).astype(int)
        longest = stands.groupby((stands == 0).cumsum()).sum().max()
        assert 660 / 30 - 2 <= longest <= 1080 / 30 + 2
    assert labelled["T03"].shift_code.isna().all()
    for trip in labelled["T02"].itertuples():
        named = scene.track(trip.plate, str(trip.started_at), str(trip.ended_at)).driver_id.dropna().unique()
        now = scene.positions[scene.positions.timestamp.between(trip.started_at, trip.ended_at)]
        assert now[now.driver_id.isin(named)].device_id.nunique() == 2


def declared_and_true(scene: Scene, rule_id: str) -> pd.DataFrame:
    """Runs of the vehicles with a habit beside their trips, in order of reading."""
    plates = scene.of(rule_id).plate.unique()
    runs = scene.runs[scene.runs["PLACA"].isin(plates)].sort_values(["PLACA", "KM SAÍDA"], ignore_index=True)
    trips = scene.trips[scene.trips.plate.isin(plates) & (scene.trips.purpose == "service")]
    trips = trips.sort_values(["plate", "started_at"], ignore_index=True)
    assert (runs["PLACA"] == trips.plate).all()
    return pd.concat([runs, trips], axis=1)


def test_who_pads_every_run_stays_under_the_tolerance(scene: Scene) -> None:
    pairs = declared_and_true(scene, "D03")
    extra = pairs["KM ROTA"] - pairs.odometer_km
    assert (extra <= np.maximum(1.0, 0.1 * pairs.odometer_km)).all()
    assert 1.04 < pairs["KM ROTA"].sum() / pairs.odometer_km.sum() < 1.1


def test_who_rounds_upwards_gains_on_the_mean(scene: Scene) -> None:
    pairs = declared_and_true(scene, "K05")
    extra = pairs["KM ROTA"] - pairs.odometer_km
    assert extra.min() > -0.1
    assert 0.25 < extra.mean() < 1


def test_who_declares_a_constant_drives_different_ways(scene: Scene) -> None:
    pairs = declared_and_true(scene, "S03")
    for _, same in pairs.groupby(["plate", "origin_poi_id", "destination_poi_id"]):
        assert (same["KM ROTA"] == same["KM ROTA"].mode()[0]).mean() >= 0.4  # a front that moves makes two values
        assert same.km.std() / same.km.mean() > 0.02


def test_who_likes_fives_writes_them(scene: Scene) -> None:
    assert (declared_and_true(scene, "S01")["KM SAÍDA"] % 5 == 0).all()


def test_plans_name_other_days_and_numbers(scene: Scene) -> None:
    plan = scene.reference["km_plan"]
    sunday = scene.of("T04")
    assert {dt.date.fromisoformat(day).isoweekday() for day in sunday.operational_date} == {7}
    assert set(plan.weekdays[plan.plate.isin(sunday.plate)]) == {"1-6"}
    simulated = [_simulated_share(*row) for row in zip(plan.cycle_start, plan.weekdays, strict=True)]
    planned = plan.assign(planned=plan.planned_trips.astype(int) * simulated).groupby("plate").planned.sum()
    driven = scene.trips[scene.trips.purpose == "service"].groupby("plate").size()
    share = driven / planned
    assert (share[scene.of("T05").plate.unique()] > 1.1).all()
    assert (share[scene.of("T06").plate.unique()] < 0.8).all()
    others = share.drop([*scene.of("T05").plate, *scene.of("T06").plate])
    assert others.between(0.9, 1.1).all()  # a plan has whole trips


def _simulated_share(start: str, weekdays: str) -> float:
    """Share of a plan's days of its cycle that the scene simulates: the plan itself is of the whole cycle."""
    works = [day for day in cycle_days(dt.date.fromisoformat(start)) if day.isoweekday() <= int(weekdays[-1])]
    return sum(FIRST <= day <= LAST for day in works) / len(works)


def test_who_has_a_fixed_cost_stays_in(scene: Scene) -> None:
    for plate in scene.of("V04").plate.unique():
        service = scene.trips[(scene.trips.plate == plate) & (scene.trips.purpose == "service")]
        working = {day for day in pd.date_range(FIRST, LAST).strftime("%Y-%m-%d") if pd.Timestamp(day).weekday() < 5}
        assert len(working - set(service.operational_date)) > 0.25 * len(working)
        assert plate in set(scene.reference["fixed_costs"].plate)


def test_a_van_is_billed_as_a_bus(scene: Scene) -> None:
    lines = scene.reference["invoices"]
    assert set(lines.plate) == set(scene.of("V02").plate)
    assert (lines.vehicle_class == "onibus").all()
    assert (scene.vehicles.vehicle_class[lines.plate] != "onibus").all()
    tariffs = scene.reference["tariffs"]
    for line in lines.itertuples():
        own = tariffs[(tariffs.contract_id == line.contract_id)
                      & (tariffs.vehicle_class == scene.vehicles.vehicle_class[line.plate])]  # fmt: skip
        assert float(line.rate_brl_per_km) > own.rate_brl_per_km.astype(float).max()


def test_a_reserve_and_its_titular_stay_in_on_a_paid_working_day(scene: Scene) -> None:
    for row in scene.of("V03").itertuples():
        both = {row.plate, scene.vehicles.titular_plate[row.plate]}
        assert pd.Timestamp(row.operational_date).weekday() < 5
        driven = scene.trips[(scene.trips.operational_date == row.operational_date) & scene.trips.plate.isin(both)]
        assert driven.empty
