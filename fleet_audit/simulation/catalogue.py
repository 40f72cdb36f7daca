"""What can be planted in a simulated fleet: every honest trap and every fraud, by name, with the rule that answers it.

Here belong names and what they mean. Which vehicle and day gets which is chosen in `labels`, how it is done is in
`declarations`, `schedule`, `tampering`, `traps` and `tables`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One thing to plant. `rule_id`: the rule that should report it; "" = nothing should be reported."""

    name: str
    where: str
    rule_id: str
    meaning: str


def _kinds(where: str, rows: Iterable[tuple[str, str, str]]) -> tuple[Kind, ...]:
    return tuple(Kind(name, where, rule_id, meaning) for name, rule_id, meaning in rows)


def _frauds(where: str, rows: Iterable[tuple[str, str]]) -> tuple[Kind, ...]:
    return _kinds(where, ((name, name, meaning) for name, meaning in rows))


# In order of choice: a fleet too small for all gets the first ones.
DAY_FRAUDS = (
    *_frauds("bulletin", (
        ("D01", "the longest run of the day declares 25-45 % too much"),
        ("D04", "the longest run of the day declares 25-45 % too little"),
        ("D05", "a run of about an hour is declared while the bus is seen standing"),
        ("D06", "a day's runs are declared while the device is silent and the bus stays"),
        ("D07", "a service trip is not declared"),
        ("D08", "a run is declared twice"),
        ("D10", "12-30 km are added to the readings between two runs"),
        ("D11", "KM ROTA is 1 km more than the readings differ by"),
        ("V06", "a service run is declared with nobody on board"),
        ("D02", "every run of the day declares about 20 % too much (each a D01 too)"),
        ("V05", "a run declares more passengers than there are seats"),
        ("G08", "a run names a workplace that the bus did not go to"),
        ("T01", "a second run is declared in the middle of another"),
    )),
    *_frauds("driving", (
        ("G06", "a service trip takes a detour of about twice the way"),
        ("G07", "a service trip stands 11-18 min in the middle of nowhere"),
        ("T03", "a service round that no shift explains"),
        ("T02", "a trip carries the driver of another bus that drives at the same time"),
    )),
    *_frauds("device", (
        ("O01", "the odometer is turned back 30-80 km"),
        ("O02", "the odometer jumps 60-200 km forward while the bus stands"),
        ("O03", "the odometer stands still during a trip"),
        ("O04", "the tracker lies in the garage while the odometer counts"),
        ("O05", "the odometer counts 15 % too much all day"),
        ("G01", "the device reports 155-190 km/h for a while"),
        ("G02", "the device is off during one whole trip"),
        ("O08", "two buses of a carrier exchange their devices for a day, unregistered"),
        ("G05", "the device sends the day before again, jitter and all, while the bus stays"),
    )),
)  # fmt: skip
HABIT_FRAUDS = _frauds("habit", (
    ("D03", "every run of a vehicle declares 5-9 % too much, none above the tolerance"),
    ("S03", "every run between two places declares the same km, though the way varies by some 10 %"),
    ("K05", "every run is rounded upwards"),
    ("S01", "start readings always end in 0 or 5"),
    ("T04", "works on Sundays, which the plan does not name"),
    ("T05", "makes a third more trips than planned"),
    ("T06", "makes a third fewer trips than planned"),
    ("V04", "has a fixed cost and stays in on every third working day"),
    ("O07", "its tracker is in a car for the last nine days of a cycle, which drives the bus's ways faster"),
    ("S05", "every service trip takes a way some fifth longer than that of the others on its route"),
))  # fmt: skip
CONTRACT_FRAUDS = _frauds("contract", (
    ("V01", "the last vehicle with positions works under a contract that has ended"),
    ("K01", "a class of vehicle has no tariff in a contract"),
    ("D09", "a run of the last day before a close is declared again after it"),
    ("V02", "an invoice bills a minibus or van as a bus, at the bus's rate"),
    ("V03", "a reserve is paid for a working day on which it and its titular both stay in"),
))  # fmt: skip
DAY_TRAPS = (
    *_kinds("device", (
        ("dead_zone", "G03", "12-40 min without positions inside a trip"),
        ("dead_zone_long", "", "65-80 min without positions from the middle of a trip on: its end is not seen"),
        ("outlier", "", "a lone position 4-28 km off"),
        ("far_jump", "", "a lone position 4,300 km off"),
        ("device_swap", "", "the vehicle gets another registered device, at local midnight"),
        ("odometer_reset", "Q05", "the device's odometer starts again at 0"),
        ("silent_day", "Q02", "the device is silent and the bus stays in"),
        ("odometer_spike", "", "one reading is 4,300 km too high"),
        ("parked_drift", "", "a parked bus wanders up to 120 m"),
        ("parked_outlier", "", "a parked bus is once reported 0.3-0.9 km away"),
        ("clock_off", "Q05", "the device's clock is three hours behind, up to five days in a row"),
        ("out_of_order", "", "four hours come a day later, the last event first"),
    )),
    *_kinds("driving", (
        ("level_crossing", "", "a halt of 115-140 s on the open road, no stop"),
    )),
)  # fmt: skip
FLEET_TRAPS = _kinds("fleet", (
    ("late_upload", "", "on every day one device in 40 sends four hours only on the next day"),
    ("sent_twice", "", "one position in 1,000 comes again, now and then without odometer and driver"),
    ("shift_day_date", "D12", "two carriers write the shift's day as DATA of night runs"),
    ("front_moves", "", "the third harvest front of each unit is elsewhere from the middle of the period on"),
    ("amendment", "", "the first contract's rates rise in the middle of the period"),
    ("reserve", "", "a reserve replaces its titular for a day"),
    ("wrong_geofence", "Q04", "`first_delivery` holds a place some 3 km off, which the inbox corrects"),
    ("much_deadhead", "K03", "a vehicle drives more than 10 % of its service km empty in a cycle"),
    ("over_midnight", "", "a trip ends on another local day than it starts"),
    ("over_close", "", "a trip starts in one cycle and ends in the next"),
))  # fmt: skip
BAD_DEVICES = _kinds("bad device", (
    ("odometer_metres", "", "the odometer counts metres"),
    ("odometer_miles", "", "the odometer counts miles"),
    ("no_odometer", "", "no odometer is sent"),
    ("no_ignition", "", "no ignition is sent"),
    ("constant_place", "", "the receiver repeats one coordinate"),
    ("one_a_day", "", "one position a day"),
))  # fmt: skip
FRAUDS = (*DAY_FRAUDS, *HABIT_FRAUDS, *CONTRACT_FRAUDS)
TRAPS = (*DAY_TRAPS, *FLEET_TRAPS)
KINDS = {kind.name: kind for kind in (*FRAUDS, *TRAPS, *BAD_DEVICES)}


def planted(*, frauds: bool, also: Iterable[str] = (), without: Iterable[str] = ()) -> frozenset[str]:
    """Names of what a fleet gets: all traps, with `frauds` all of them, faulty devices only by name.

    Raises ValueError when a name is unknown.
    """
    also, without = frozenset(also), frozenset(without)
    unknown = sorted((also | without) - KINDS.keys())
    if unknown:
        raise ValueError(f"Unknown: {', '.join(unknown)}. Known are {', '.join(KINDS)}")
    usual = {kind.name for kind in (*TRAPS, *(FRAUDS if frauds else ()))}
    return frozenset((usual | also) - without)
