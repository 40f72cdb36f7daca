"""A simulated fleet is reproducible, its truth is consistent, and what it says honestly is honest."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fleet_audit.schema import reference
from fleet_audit.schema.derive import to_arrow
from fleet_audit.simulation.catalogue import (
    BAD_DEVICES,
    CONTRACT_FRAUDS,
    DAY_TRAPS,
    FLEET_TRAPS,
    FRAUDS,
    HABIT_FRAUDS,
    TRAPS,
    Kind,
    planted,
)
from fleet_audit.simulation.catalogue_page import table
from fleet_audit.simulation.fleet import POSITIONS, SimulationSummary, simulate
from fleet_audit.simulation.paper.declarations import HEADER
from fleet_audit.simulation.planning.labels import label
from fleet_audit.simulation.planning.roster import IDLE_LABELS, make_roster
from fleet_audit.simulation.planning.world import distance_m

FIRST, LAST = dt.date(2025, 6, 9), dt.date(2025, 6, 19)  # across the close of 16 June
ZONES = {"UCP": "America/Sao_Paulo", "UAL": "America/Sao_Paulo", "USL": "America/Campo_Grande",
         "UEL": "America/Campo_Grande"}  # fmt: skip


class Fleet:
    def __init__(self, out: Path, summary: SimulationSummary) -> None:
        self.out, self.summary = out, summary
        self.trips = pd.read_csv(out / "truth" / "trips.csv", parse_dates=["started_at", "ended_at"])
        self.trips = self.trips.sort_values(["plate", "started_at"], ignore_index=True)
        self.frauds = pd.read_csv(out / "truth" / "frauds.csv", dtype=str)
        self.traps = pd.read_csv(out / "truth" / "traps.csv", parse_dates=["started_at", "ended_at"])
        self.vehicle_days = pd.read_csv(out / "truth" / "vehicle_days.csv")
        self.positions = pd.read_parquet(out / "api" / "positions.parquet")
        self.runs = pd.concat(
            [pd.read_csv(path, dtype=str, keep_default_na=False)
             for path in sorted((out / "inbox" / "bulletins").iterdir())], ignore_index=True)  # fmt: skip

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.out / "inbox" / "reference" / f"{name}.csv", dtype=str)

    def device_of(self) -> dict[str, str]:
        """Plate -> device, of vehicles that had one device all the time."""
        devices = self.table("devices")
        devices = devices[~devices.plate.duplicated(keep=False) & ~devices.device_id.duplicated(keep=False)]
        return dict(zip(devices.plate, devices.device_id, strict=True))


def make(out: Path, *, frauds: bool, seed: int = 11) -> Fleet:
    return Fleet(out, simulate(out, seed=seed, vehicles=40, date_from=FIRST, date_to=LAST, frauds=frauds))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make(tmp_path_factory.mktemp("fraud"), frauds=True)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make(tmp_path_factory.mktemp("honest"), frauds=False)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(fleet: Fleet, tmp_path: Path) -> None:
    assert hashes(make(tmp_path / "again", frauds=True).out) == hashes(fleet.out)
    other = hashes(make(tmp_path / "other", frauds=True, seed=12).out)
    assert other["truth/trips.csv"] != hashes(fleet.out)["truth/trips.csv"]


@pytest.mark.parametrize("table", reference.TABLES, ids=lambda table: table.name)
def test_reference_files_hold_the_columns_of_the_dictionary(fleet: Fleet, table: reference.Table) -> None:
    path = fleet.out / "inbox" / "reference" / f"{table.name}.csv"
    if table in (reference.PARAMETERS, reference.SAMPLE_REVIEWS):
        assert not path.exists()  # optional: the defaults hold, and nothing was reviewed
        return
    frame = pd.read_csv(path, dtype=str)
    assert list(frame) == table.column_names
    assert not frame.duplicated(list(table.key)).any()
    assert len(frame) > 0 or table.name in ("drivers", "invoices")
    for column in table.columns:
        assert column.values is None or set(frame[column.name].dropna()) <= set(column.values)
    to_arrow(_typed(frame, table), table)


def _typed(frame: pd.DataFrame, table: reference.Table) -> pd.DataFrame:
    """Texts as the dictionary's types; an impossible date or number raises."""
    typed = {}
    for column in table.columns:
        values = frame[column.name]
        kind = column.type.value
        if kind == "date":
            typed[column.name] = values.astype(object).where(values.notna(), None).map(
                dt.date.fromisoformat, na_action="ignore")  # fmt: skip
        elif kind in ("km", "km3", "brl", "rate", "percent"):
            typed[column.name] = values.map(Decimal, na_action="ignore")
        elif kind in ("float", "integer"):
            typed[column.name] = pd.to_numeric(values)
        else:
            typed[column.name] = values
    return pd.DataFrame(typed)


def test_no_vehicle_makes_two_trips_at_once(fleet: Fleet) -> None:
    following = fleet.trips.groupby("plate").started_at.shift(-1)
    assert (fleet.trips.started_at < fleet.trips.ended_at).all()
    assert not (fleet.trips.ended_at >= following).any()


def test_trips_chain_from_place_to_place(fleet: Fleet) -> None:
    following = fleet.trips.groupby("plate").origin_poi_id.shift(-1)
    assert (following.isna() | (following == fleet.trips.destination_poi_id)).all()


def test_the_operational_date_is_the_local_day_of_the_start(fleet: Fleet) -> None:
    for unit, zone in ZONES.items():
        own = fleet.trips[fleet.trips.unit_code == unit]
        assert (own.started_at.dt.tz_convert(zone).dt.strftime("%Y-%m-%d") == own.operational_date).all()
    over_midnight = fleet.trips.started_at.dt.tz_convert("Etc/GMT+4").dt.date < fleet.trips.ended_at.dt.tz_convert(
        "Etc/GMT+4").dt.date  # fmt: skip
    assert over_midnight.any()


def test_vehicle_days_and_summary_add_up_to_the_trips(fleet: Fleet) -> None:
    service = fleet.trips[fleet.trips.purpose == "service"]
    by_day = service.groupby(["operational_date", "plate"]).agg(km=("km", "sum"), trips=("km", "size"))
    days = fleet.vehicle_days.set_index(["operational_date", "plate"])
    days = days[days.service_trips > 0]
    assert days.service_trips.to_dict() == by_day.trips.to_dict()
    assert np.allclose(days.service_km, by_day.km.reindex(days.index), atol=0.005 * days.service_trips + 1e-9)
    assert float(fleet.summary.service_km) == pytest.approx(fleet.vehicle_days.service_km.sum())
    assert float(fleet.summary.variable_cost_brl) == pytest.approx(fleet.trips.variable_cost_brl.sum())
    assert fleet.summary.trips == len(fleet.trips)
    assert fleet.summary.declared_runs == len(fleet.runs)
    assert fleet.summary.positions == len(fleet.positions)


def test_every_purpose_area_and_deadhead_rule_occurs(fleet: Fleet) -> None:
    assert set(fleet.trips.purpose) == {"service", "deadhead", "maintenance", "yard"}
    assert set(fleet.trips.area) == {"AGR", "IND"}
    assert set(fleet.table("contracts").deadhead_rule) == {"unpaid", "paid", "capped"}
    deadhead = fleet.trips[fleet.trips.purpose == "deadhead"].groupby("carrier_code")
    billed, driven = deadhead.billable_km.sum(), deadhead.km.sum()
    assert billed["TRANSUL"] == 0
    assert billed["VIAMATA"] == pytest.approx(driven["VIAMATA"], abs=0.01 * len(fleet.trips))
    assert 0 < billed["CANARIO"] < driven["CANARIO"]


def test_positions_are_sorted_typed_and_a_row_group_a_day(fleet: Fleet) -> None:
    file = pq.ParquetFile(fleet.out / "api" / "positions.parquet")
    assert file.schema_arrow == POSITIONS
    assert file.num_row_groups == (LAST - FIRST).days + 1
    for number in range(file.num_row_groups):
        group = file.read_row_group(number, columns=["device_id", "timestamp"]).to_pandas()
        assert group.equals(group.sort_values(["device_id", "timestamp"], kind="stable"))
    assert (fleet.positions.uploaded_at > fleet.positions.timestamp).all()


def test_odometer_and_path_agree_with_the_truth(honest: Fleet) -> None:
    device_of = honest.device_of()
    trapped = set(_disturbed(honest))
    trips = honest.trips[(honest.trips.km > 3) & honest.trips.plate.isin(set(device_of) - trapped)]
    by_device = {device: group.drop_duplicates("timestamp") for device, group in honest.positions.groupby("device_id")}
    checked = 0
    for trip in trips[trips.source != "report"].itertuples():
        track = by_device[device_of[trip.plate]]
        track = track[
            track.timestamp.between(trip.started_at - pd.Timedelta("30s"), trip.ended_at + pd.Timedelta("30s"))
        ]
        points = track[["latitude", "longitude"]].to_numpy()
        path_km = distance_m(*points[:-1].T, *points[1:].T).sum() / 1000
        odometer = track.odometer_km.dropna()
        assert odometer.iloc[-1] - odometer.iloc[0] == pytest.approx(trip.odometer_km, abs=1e-6)
        assert path_km == pytest.approx(trip.km, rel=0.02, abs=0.2)
        assert trip.odometer_km == pytest.approx(trip.km, abs=0.0101 * trip.km + 0.11)
        checked += 1
    assert checked > 200


def test_a_moving_bus_reports_every_30_s_and_a_parked_one_every_10_min(honest: Fleet) -> None:
    positions = honest.positions[~honest.positions.device_id.isin(_devices_of(honest, _disturbed(honest)))]
    step_s = positions.groupby("device_id").timestamp.diff().dt.total_seconds().dropna()
    assert step_s.max() <= 600
    assert (step_s == 30).mean() > 0.6
    assert positions.speed_kmh.max() <= 85
    assert (positions.speed_kmh[~positions.ignition] == 0).all()


def _disturbed(fleet: Fleet) -> pd.Series:
    """Plates whose positions of some day are not those of a healthy device on its usual way."""
    return fleet.traps.plate[fleet.traps.trap.isin([kind.name for kind in DAY_TRAPS])]


def _devices_of(fleet: Fleet, plates: pd.Series) -> set[str]:
    devices = fleet.table("devices")
    return set(devices.device_id[devices.plate.isin(set(plates))])


def _declared(fleet: Fleet) -> pd.DataFrame:
    """Honest runs beside the trip that each declares: in order of reading, as the trips are in order of time."""
    runs = fleet.runs.assign(start_km=fleet.runs["KM SAÍDA"].astype(int), end_km=fleet.runs["KM CHEGADA"].astype(int))
    runs = runs.sort_values(["PLACA", "start_km"], ignore_index=True)
    trips = fleet.trips.assign(driven_km=fleet.trips.groupby("plate").odometer_km.cumsum())
    trips = trips[trips.purpose == "service"].reset_index(drop=True)
    assert (runs["PLACA"] == trips.plate).all()
    return pd.concat([runs, trips], axis=1)


def test_honest_runs_stay_within_the_tolerance_and_keep_the_chain(honest: Fleet) -> None:
    pairs = _declared(honest)
    declared_km = pairs["KM ROTA"].astype(int)
    assert (declared_km == pairs.end_km - pairs.start_km).all()
    # Whole km read from 0.1 km steps, rounded half-up: never more than 0.9 km off, 1 km is tolerated.
    assert (declared_km - pairs.odometer_km).abs().max() <= 0.9 + 1e-6
    assert abs((declared_km - pairs.odometer_km).mean()) < 0.1
    before = pairs.groupby("plate")[["end_km", "driven_km"]].shift(1)
    between_km = pairs.driven_km - pairs.odometer_km - before.driven_km
    assert (pairs.start_km - before.end_km - between_km).abs().max() <= 0.9 + 1e-6


def test_data_is_the_trips_day_or_on_night_shifts_of_some_carriers_the_shifts(honest: Fleet) -> None:
    pairs = _declared(honest)
    local = [start.tz_convert(ZONES[unit]) for start, unit in zip(pairs.started_at, pairs.unit_code, strict=True)]
    written = pd.to_datetime(pairs["DATA"] + " " + pairs["HORÁRIO SAÍDA"], format="%d/%m/%Y %H:%M")
    late_min = (pd.Series([start.tz_localize(None) for start in local]) - written).dt.total_seconds() / 60
    is_shifted = late_min > 600
    assert (late_min - 1440 * is_shifted).abs().max() <= 3
    assert set(pairs["EMPRESA"][is_shifted]) == {"TRANSUL", "VIAMATA"}
    is_night = (pairs["TURNO"] == "C") | (pd.Series([start.hour for start in local]) < 4)
    assert is_night[is_shifted].all()


def test_an_honest_fleet_has_traps_but_no_frauds(honest: Fleet) -> None:
    assert honest.frauds.empty
    assert set(honest.traps.trap) == {kind.name for kind in TRAPS}
    assert honest.trips.variable_cost_brl.notna().all()


def test_every_fraud_is_there_and_names_a_run_or_a_trip_that_exists(fleet: Fleet) -> None:
    assert set(fleet.frauds.rule_id) == {kind.name for kind in FRAUDS}
    carrier = fleet.table("vehicles").drop_duplicates("plate").set_index("plate").carrier_code
    runs = set(zip(fleet.runs["EMPRESA"], fleet.runs["NUMERO ATA"], fleet.runs["PLACA"], strict=True))
    trips = set(zip(fleet.trips.plate, fleet.trips.started_at.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), strict=True))
    named = fleet.frauds[fleet.frauds.reference.notna()]
    by_run = named[named.reference.str.fullmatch(r"\d+")]
    by_trip = named[named.reference.str.contains("T") & named.reference.str.endswith("Z")]
    assert len(by_run) >= 14
    assert len(by_trip) >= 9
    assert set(zip(by_run.plate.map(carrier), by_run.reference, by_run.plate, strict=True)) <= runs
    assert set(zip(by_trip.plate, by_trip.reference, strict=True)) <= trips


def test_lost_money_is_null_and_never_zero(fleet: Fleet) -> None:
    lost = fleet.frauds[fleet.frauds.rule_id.isin(["K01", "V01"])]
    service = fleet.trips[fleet.trips.purpose == "service"].set_index(["plate", "operational_date"])
    unpriced = service.variable_cost_brl.isna()
    assert set(unpriced[unpriced].index) == set(zip(lost.plate, lost.operational_date, strict=True))
    assert (service.variable_cost_brl.dropna() > 0).all()


def test_a_silent_day_has_no_position_and_no_trip(fleet: Fleet) -> None:
    days = fleet.vehicle_days[fleet.vehicle_days.label.isin(["silent_day", "D06"])]
    assert len(days) >= 2
    assert (days.service_trips == 0).all()
    device = fleet.device_of()
    for day in days[days.plate.isin(device)].itertuples():
        instants = fleet.positions.timestamp[fleet.positions.device_id == device[day.plate]]
        local = instants.dt.tz_convert(ZONES[day.unit_code]).dt.strftime("%Y-%m-%d")
        assert not (local == day.operational_date).any()


def test_a_dead_zone_has_no_positions_and_lies_in_a_trip(fleet: Fleet) -> None:
    device = fleet.device_of()
    zones = fleet.traps[fleet.traps.trap.isin(["dead_zone", "dead_zone_long"])]
    assert set(zones.trap) == {"dead_zone", "dead_zone_long"}
    for trap in zones[zones.plate.isin(device)].itertuples():
        own = fleet.positions[fleet.positions.device_id == device[trap.plate]]
        assert not own.timestamp.between(trap.started_at, trap.ended_at).any()
        trips = fleet.trips[(fleet.trips.plate == trap.plate) & (fleet.trips.started_at < trap.started_at)]
        assert (trips.ended_at > trap.started_at).sum() == 1
        minutes = (trap.ended_at - trap.started_at).total_seconds() / 60
        assert minutes > 60 if trap.trap == "dead_zone_long" else 12 <= minutes <= 40


def test_a_swapped_device_changes_at_local_midnight(fleet: Fleet) -> None:
    devices = fleet.table("devices")
    swapped = devices[devices.valid_to.notna()]
    assert len(swapped) > 0
    unit = fleet.table("vehicles").set_index("plate").unit_code
    for old in swapped.itertuples():
        instants = fleet.positions.timestamp[fleet.positions.device_id == old.device_id]
        new = devices[(devices.plate == old.plate) & (devices.valid_from > old.valid_to)]
        assert len(new) == 1
        if not devices.duplicated("device_id", keep=False)[old.Index]:
            assert instants.max().tz_convert(ZONES[unit[old.plate]]).strftime("%Y-%m-%d") == old.valid_to


def test_a_reset_odometer_starts_again_near_zero(fleet: Fleet) -> None:
    device = fleet.device_of()
    resets = fleet.traps[(fleet.traps.trap == "odometer_reset") & fleet.traps.plate.isin(device)]
    assert len(resets) > 0
    for trap in resets.itertuples():
        own = fleet.positions[fleet.positions.device_id == device[trap.plate]]
        assert own.odometer_km[own.timestamp >= trap.started_at].iloc[0] == 0
        assert own.odometer_km[own.timestamp < trap.started_at].iloc[-1] > 1000


def test_a_kind_can_be_left_out_and_bad_devices_be_asked_for(tmp_path: Path) -> None:
    bad = [kind.name for kind in BAD_DEVICES]
    simulate(tmp_path, seed=11, vehicles=12, date_from=FIRST, date_to=FIRST + dt.timedelta(days=1), frauds=False,
             also=bad, without=[kind.name for kind in TRAPS if kind.name != "far_jump"])  # fmt: skip
    traps = pd.read_csv(tmp_path / "truth" / "traps.csv")
    assert set(traps.trap) == {"far_jump", "over_midnight", "much_deadhead", *bad}  # what is driven stays
    assert not (tmp_path / "first_delivery").exists()
    positions = pd.read_parquet(tmp_path / "api" / "positions.parquet")
    devices = pd.read_csv(tmp_path / "inbox" / "reference" / "devices.csv", dtype=str).set_index("plate").device_id
    of = {trap.trap: positions[positions.device_id == devices[trap.plate]] for trap in traps.itertuples()}
    assert of["no_odometer"].odometer_km.isna().all()
    assert of["no_ignition"].ignition.isna().all()
    assert len(of["one_a_day"]) == 2
    assert of["constant_place"][["latitude", "longitude"]].nunique().tolist() == [1, 1]
    path_km = {name: distance_m(*(track[column].to_numpy()[part] for part in (slice(None, -1), slice(1, None))
               for column in ("latitude", "longitude"))).sum() / 1000 for name, track in of.items()}  # fmt: skip
    for name, units in (("odometer_metres", 1000), ("odometer_miles", 0.621371)):
        counted = of[name].odometer_km.max() - of[name].odometer_km.min()
        assert counted / path_km[name] == pytest.approx(units, rel=0.03)


def test_labels_of_a_day_lie_on_the_days_that_may_hold_them(tmp_path: Path) -> None:
    days = [FIRST + dt.timedelta(days=number) for number in range(4)]
    without = [kind.name for kind in (*HABIT_FRAUDS, *CONTRACT_FRAUDS, *FLEET_TRAPS)]
    simulate(tmp_path, seed=11, vehicles=12, date_from=days[0], date_to=days[-1], without=without, label_days=days[1:3])
    truth = [pd.read_csv(tmp_path / "truth" / f"{name}.csv") for name in ("frauds", "traps")]
    labels = pd.concat(truth)
    labels = labels[~labels["trap"].isin([kind.name for kind in FLEET_TRAPS])]
    assert {"D01", "D10"} <= set(labels.rule_id)
    assert set(labels.operational_date) == {str(day) for day in days[1:3]}


def test_a_shuttle_drives_between_mill_and_front_while_a_shift_works(tmp_path: Path) -> None:
    simulate(tmp_path, seed=11, vehicles=1, date_from=FIRST, date_to=FIRST, frauds=False, on_one_route=True,
             shuttle_runs=10)  # fmt: skip
    trips = pd.read_csv(tmp_path / "truth" / "trips.csv")
    ends = list(zip(trips.origin_poi_id.str[:3], trips.destination_poi_id.str[:3], strict=True))
    assert ends == [("GAR", "USI"), *[("USI", "FRE"), ("FRE", "USI")] * 5, ("USI", "GAR")]
    assert (trips.purpose == "service").all()
    [bulletin] = (tmp_path / "inbox" / "bulletins").iterdir()
    assert len(pd.read_csv(bulletin)) == len(trips)


def test_shuttles_without_one_route_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give on_one_route too"):
        simulate(tmp_path, seed=1, vehicles=1, date_from=FIRST, date_to=FIRST, shuttle_runs=2)


def test_labels_on_a_day_that_is_not_simulated_are_refused(tmp_path: Path) -> None:
    """Only days outside of the range once let every day hold labels."""
    with pytest.raises(ValueError, match="outside of the simulated days: remove"):
        simulate(
            tmp_path, seed=1, vehicles=1, date_from=FIRST, date_to=FIRST, label_days=[FIRST + dt.timedelta(days=1)]
        )


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown: D99"):
        simulate(tmp_path, seed=1, vehicles=1, date_from=FIRST, date_to=FIRST, also=["D99"])


def test_no_clock_that_is_behind_dates_positions_on_a_silent_day_before_it() -> None:
    """Three hours of the next morning lay on the day that the truth calls silent: it was not, and no Q02 named it."""
    days = [dt.date(2025, 6, 12 + number) for number in range(6)]
    for seed in range(100):
        roster = make_roster(seed, 20, days, planted(frauds=True))
        label(seed, roster)
        behind = {place for place, kind in roster.labels.items() if kind == "clock_off"}
        idle = {place for place, kind in roster.labels.items() if kind in IDLE_LABELS}
        assert not {(index, day - dt.timedelta(days=1)) for index, day in behind} & idle


def test_no_odometer_is_turned_back_after_a_reset() -> None:
    """One that showed 74 km half a day after its reset was turned back to 3 km, which is a reset and no O01."""
    days = [dt.date(2025, 6, 12 + number) for number in range(6)]
    for seed in range(100):
        roster = make_roster(seed, 6, days, frozenset({"O01", "odometer_reset"}))
        label(seed, roster)
        resets = {index: day for (index, day), kind in roster.labels.items() if kind == "odometer_reset"}
        turned_back = {index: day for (index, day), kind in roster.labels.items() if kind == "O01"}
        assert all(turned_back[index] < resets[index] for index in turned_back.keys() & resets.keys())


def test_the_day_after_a_run_that_is_billed_twice_holds_no_other_label() -> None:
    """The second run stood for that day's longest trip, so that a D01 or D07 of the same trip was answered by D08."""
    days = [dt.date(2025, 6, 13 + number) for number in range(5)]
    for seed in range(100):
        roster = make_roster(seed, 8, days, planted(frauds=True))
        label(seed, roster)
        billed_twice = {place for place, kind in roster.labels.items() if kind == "D09"}
        assert not {(index, day + dt.timedelta(days=1)) for index, day in billed_twice} & roster.labels.keys()


def test_the_first_delivery_holds_one_place_elsewhere(fleet: Fleet) -> None:
    first = pd.read_csv(fleet.out / "first_delivery" / "reference" / "pois.csv", dtype=str)
    pois = fleet.table("pois")
    assert list(first) == list(pois)
    differs = (first[["latitude", "longitude"]] != pois[["latitude", "longitude"]]).any(axis=1)
    assert pois.poi_id[differs].tolist() == fleet.traps.reference[fleet.traps.trap == "wrong_geofence"].tolist()


@pytest.mark.parametrize("kinds", [TRAPS, FRAUDS, BAD_DEVICES], ids=["traps", "frauds", "bad devices"])
def test_the_manual_has_the_catalogue(kinds: tuple[Kind, ...]) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
    assert table(kinds) in manual


def _is_late(fleet: Fleet) -> pd.Series:
    return fleet.positions.uploaded_at - fleet.positions.timestamp > pd.Timedelta("1h")


@pytest.mark.parametrize("seed", range(6))
def test_every_day_of_any_fleet_has_positions_that_come_only_on_the_next(tmp_path: Path, seed: int) -> None:
    simulate(tmp_path, seed=seed, vehicles=1 + seed, date_from=FIRST, date_to=FIRST + dt.timedelta(days=2))
    positions = pd.read_parquet(tmp_path / "api" / "positions.parquet")
    delay = positions.uploaded_at - positions.timestamp
    assert delay.max() <= pd.Timedelta("24h")
    for number in range(3):
        day_end = pd.Timestamp(FIRST + dt.timedelta(days=number + 1), tz="America/Campo_Grande")
        is_of_day = (positions.timestamp < day_end) & (positions.timestamp >= day_end - pd.Timedelta("1D"))
        assert (positions.uploaded_at[is_of_day] > day_end).any()


def test_late_uploads_are_few_and_lie_where_the_truth_says(fleet: Fleet) -> None:
    late = fleet.positions[_is_late(fleet)]
    assert 0 < len(late) < 0.03 * len(fleet.positions)
    traps = fleet.traps[fleet.traps.trap.isin(["late_upload", "out_of_order"])]
    late = late[~late.device_id.isin(_devices_of(fleet, fleet.traps.plate[fleet.traps.trap == "clock_off"]))]
    devices = fleet.table("devices").merge(traps, on="plate")
    pairs = late.merge(devices, on="device_id")
    inside = pairs[pairs.timestamp.between(pairs.started_at, pairs.ended_at, inclusive="left")]
    assert len(inside.drop_duplicates(["device_id", "timestamp"])) == len(
        late.drop_duplicates(["device_id", "timestamp"])
    )


def test_the_api_repeats_some_rows_equal_and_poorer(fleet: Fleet) -> None:
    again = fleet.positions[fleet.positions.duplicated(["device_id", "timestamp"], keep=False)]
    equal = again[again.duplicated()]
    assert len(equal) > 0
    assert again.odometer_km.isna().sum() > 0
    assert len(again) < 0.01 * len(fleet.positions)


def test_a_visit_report_has_the_vendors_layout_and_adds_up(fleet: Fleet) -> None:
    paths = sorted((fleet.out / "inbox" / "visit_reports").iterdir())
    assert paths
    title, km, blocks = "", Decimal(0), 0
    for path in paths:
        assert b"\r\n" in path.read_bytes()
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines(keepends=True)):
            assert len(row) == 13
            title = row[0] if row[0].startswith("Relatório") else title
            blocks += row[0] == "Descrição do ativo"
            if row[0] == "Totais":
                assert Decimal(row[5].replace(",", ".")) == km
                km = Decimal(0)
            elif row[0][:2].isdigit():
                km += Decimal(row[5].replace(",", "."))
    assert "De " in title
    assert blocks > len(paths)


def test_reported_vehicles_have_their_true_km_in_the_report(honest: Fleet) -> None:
    reported: dict[str, Decimal] = {}
    plate = ""
    for path in sorted((honest.out / "inbox" / "visit_reports").iterdir()):
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines(keepends=True)):
            plate = row[2] if row[0] == "Número de registro" else plate
            if row[0] == "Totais":
                reported[plate] = reported.get(plate, Decimal(0)) + Decimal(row[5].replace(",", "."))
    true_km = honest.trips[honest.trips.source != "positions"].groupby("plate").odometer_km.sum()
    assert set(reported) == set(true_km.index)
    assert {plate: float(km) for plate, km in reported.items()} == pytest.approx(true_km.to_dict(), abs=1e-6)


def test_bulletins_have_the_contracts_header_and_habits(fleet: Fleet) -> None:
    assert tuple(fleet.runs.columns) == HEADER
    assert (fleet.runs["TAXA LOTAÇÃO"] == "0").all()
    for place in ("LOCAL SAÍDA", "LOCAL CHEGADA"):
        texts = fleet.runs[place]
        assert (texts == "").any()
        assert texts.str.contains(".", regex=False).any()
        assert texts.str.len().max() <= 20


@pytest.mark.parametrize(("vehicles", "last"), [(1, FIRST), (3, FIRST + dt.timedelta(days=1)), (9, FIRST)])
def test_small_fleets_work_too(tmp_path: Path, vehicles: int, last: dt.date) -> None:
    summary = simulate(tmp_path, seed=1, vehicles=vehicles, date_from=FIRST, date_to=last)
    assert summary.vehicles == vehicles
    assert summary.positions > 100 * vehicles


def test_nothing_to_simulate_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one vehicle"):
        simulate(tmp_path, seed=1, vehicles=0, date_from=FIRST, date_to=LAST)


def test_progress_names_each_day(tmp_path: Path) -> None:
    seen: list[str] = []
    simulate(tmp_path, seed=1, vehicles=1, date_from=FIRST, date_to=FIRST + dt.timedelta(days=1), progress=seen.append)
    assert seen == ["09/06/2025", "10/06/2025"]
