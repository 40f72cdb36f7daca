"""The parameters of the rules as data: name, default, unit, source; and the set in force on a day.

A dated row of `ref.parameters` changes a default; `version` identifies the whole set, and result rows carry it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who asks for a default only, as the database's rights do for `fleet-audit psql`, needs no pandas
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Parameter:
    """One parameter of the rules: `source` names where its default comes from."""

    name: str
    default: float
    unit: str
    description: str
    source: str = "own"

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value that makes sense for its unit; both are allowed."""
        return _LIMITS_OF.get(self.name) or _LIMITS_OF_UNIT[self.unit]


# Wide enough for any fleet; narrow enough that metres for km, or a percentage for a share of one, are refused.
_LIMITS_OF_UNIT = {
    "%": (0, 1_000),
    "km/h": (0, 500),
    "km": (0, 10_000_000),
    "m": (0, 100_000),
    "s": (0, 7 * 86_400),
    "min": (0, 1_440),
    "h": (0, 24),
    "days": (0, 366),
    "months": (0, 24),
    "points": (0, 10_000),
    "runs": (0, 100_000),
    "trips": (0, 100_000),
    "vehicles": (0, 100_000),
    "deviations": (0, 100),
    "factor": (0, 10),
    "probability": (0, 1),
}
_SHARES = (
    *("coverage_min_pct", "gps_min_coverage_pct", "source_overlap_pct", "match_overlap_pct", "phantom_observed_pct"),
    *("constant_pct", "full_pct", "idle_pct", "silent_fleet_pct", "day_acceptance_pct", "route_text_min"),
)
_LIMITS_OF: dict[str, tuple[float, float]] = {**dict.fromkeys(_SHARES, (0, 100)), "forecast_alpha": (0, 1)}
# At 50 % a Poisson factor grows by 0.985 for the first error: a limit may lie below its projection; at 70 % by 1.235.
_LIMITS_OF |= {"sample_confidence_pct": (70, 99.9), "sample_materiality_pct": (0.1, 100)}
# Of three days no rank sum test says anything, and no more than a cycle and four weeks are read.
_LIMITS_OF |= {"profile_days": (3, 31), "profile_past_days": (3, 60)}
_LIMITS_OF |= {"far_step_s": (1, 7 * 86_400)}  # steps are divided by it

DEFAULTS = (
    Parameter("standing_kmh", 5, "km/h", "A step slower than this is standing", "Rio 3, Geotab 1, Traccar 4"),
    Parameter("stop_radius_m", 150, "m", "A stop stays within this of its first standing point", "Traccar 200 m"),
    Parameter("stop_min_s", 180, "s", "Standing time that makes a stop", "Traccar 180 s, Geotab 200 s"),
    Parameter("stop_min_place_s", 120, "s", "The same inside a known place", "Samsara 2 min"),
    Parameter("gap_note_s", 660, "s", "A longer step with its ends apart is a gap", "IFTA 10 min"),
    Parameter("gap_split_s", 3600, "s", "A longer gap splits the leg", "Traccar 3600 s"),
    Parameter("impossible_kmh", 150, "km/h", "A point beyond this implied speed is rejected", "Rio SMTR"),
    Parameter("outlier_m", 1000, "m", "And only when it is further away than this", "own"),
    Parameter(
        "farthest_fix_km",
        2000,
        "km",
        "A fix further than this from every registered place is none: a lost sign, swapped coordinates",
        "own",
    ),
    Parameter(
        "release_points", 3, "points", "Rejected points that agree and become the new place", "Traccar issue 4640"
    ),
    Parameter("leg_min_km", 0.2, "km", "Shortest leg", "Traccar 200 m"),
    Parameter("leg_min_s", 60, "s", "Shortest leg", "own"),
    Parameter("trip_end_dwell_s", 1200, "s", "A dwell that ends a trip anywhere", "Samsara, MiX"),
    Parameter("yard_max_km", 1, "km", "Both ends in one place and shorter: yard"),
    Parameter("compare_step_s", 180, "s", "Odometer and GPS are compared over steps up to this"),
    Parameter(
        "fine_step_s", 60, "s", "Odometer and GPS can disagree where steps up to this hold half of the km", "own"
    ),
    Parameter(
        "chord_step_s",
        15,
        "s",
        "A longer step without a reading is a chord: of 30 s each, 4.9 % of a winding road",
        "own",
    ),
    Parameter("odometer_most_km", 3_000_000, "km", "No bus reads more: such a reading between others is none", "own"),
    Parameter("carried_min_km", 1, "km", "Way of a ferry or tow: odometer still, ignition off", "own"),
    Parameter("carried_max_kmh", 25, "km/h", "and no faster than this", "own"),
    Parameter("odometer_slack_km", 2, "km", "A step's odometer may exceed impossible_kmh x time by this"),
    Parameter("agree_pct", 5, "%", "Odometer and GPS agree within this share of the odometer's km"),
    Parameter("agree_km", 0.5, "km", "or within this, whichever is more"),
    Parameter("coverage_step_s", 120, "s", "Seconds in steps up to this are covered"),
    Parameter("coverage_min_pct", 80, "%", "Coverage that grades A and B ask for"),
    Parameter("gps_min_coverage_pct", 50, "%", "Below this the odometer counts even when it disagrees"),
    Parameter("chord_uncertainty_pct", 10, "%", "Uncertainty of chords bridged without a reading"),
    Parameter(
        "long_chord_uncertainty_pct",
        20,
        "%",
        "The same beyond compare_step_s: chords of 300 s lost 12.3 % of a winding road",
        "own",
    ),
    Parameter(
        "far_step_s",
        300,
        "s",
        "Step of which long_chord_uncertainty_pct was measured: a longer one is less sure in proportion, up to 3 times",
        "own",
    ),
    Parameter("gps_uncertainty_pct", 1.5, "%", "Least uncertainty of a distance by GPS: fixes cut corners", "own"),
    Parameter(
        "odometer_uncertainty_pct",
        1.5,
        "%",
        "Uncertainty of odometer km that GPS does not confirm: over bridged steps, or apart by calibrated_pct",
        "own",
    ),
    Parameter(
        "odometer_least_uncertainty_pct",
        0.8,
        "%",
        "Least uncertainty of a distance by odometer: fixes that err by 30 m can agree with it by chance",
        "own",
    ),
    Parameter(
        "report_leg_uncertainty_km",
        0.005,
        "km",
        "Rounding of a visit report in hundredths, per leg; half of the last digit where it is coarser",
    ),
    Parameter("report_uncertainty_pct", 1, "%", "Uncertainty of a visit report's distance"),
    Parameter("reset_below_km", 10, "km", "An odometer that falls below this and counts on was reset"),
    Parameter("shift_tolerance_min", 60, "min", "Tolerance of a shift that states none"),
    Parameter("route_text_min", 80, "points", "Lowest token_set_ratio that names a route"),
    Parameter("source_overlap_pct", 50, "%", "Overlap of the shorter that makes two sources' trips one trip"),
    Parameter("match_overlap_pct", 50, "%", "Overlap of the shorter that links a run and a trip"),
    Parameter("match_widen_s", 600, "s", "A run without a link is widened by this on each side"),
    Parameter("match_widen_short_s", 300, "s", "The same for a run shorter than match_widen_s"),
    Parameter("night_departure_h", 4, "h", "A run that departs before this hour may belong to the day after DATA"),
    Parameter("night_fit_s", 120, "s", "A night run fits one day better when start and end together do by more"),
    Parameter("trip_tolerance_pct", 10, "%", "Tolerated divergence of a group, where the contract has none"),
    Parameter("trip_tolerance_km", 1, "km", "or this, whichever is more: whole-km readings break 10 % on short runs"),
    Parameter("day_tolerance_pct", 10, "%", "D02: tolerated divergence of a vehicle-day"),
    Parameter("cycle_tolerance_pct", 5, "%", "D03: tolerated by a vehicle-cycle, where the contract has none"),
    Parameter("cycle_warn_pct", 3, "%", "D03: divergence that raises a medium finding"),
    Parameter("cycle_min_km", 5, "km", "D03: and at least this"),
    Parameter("cycle_min_days", 20, "days", "D03, K03, V04: days of a cycle that must have been run, or all of them"),
    Parameter("deadhead_pct", 10, "%", "K03: deadhead of a vehicle-cycle in per cent of its service km"),
    Parameter("deadhead_sure_pct", 25, "%", "K03: share above which the confidence is full"),
    Parameter("idle_pct", 20, "%", "V04: working days without service that a fixed cost may have"),
    Parameter("plan_over_pct", 110, "%", "T05: service trips of a vehicle-cycle, of those planned, or one more"),
    Parameter("plan_under_pct", 80, "%", "T06: and at least these"),
    Parameter("day_min_km", 5, "km", "D02: and at least this"),
    Parameter("phantom_observed_pct", 80, "%", "D05: share of the run during which the vehicle was watched"),
    Parameter("phantom_km", 0.5, "km", "D05: movement below this is none"),
    Parameter("undeclared_min_km", 2, "km", "D07: shortest undeclared service trip"),
    Parameter("same_run_s", 600, "s", "D08: starts this close are the same run"),
    Parameter("chain_km", 1, "km", "D10: tolerated break of the odometer chain"),
    Parameter("long_stop_s", 600, "s", "G07: longer stop at an unknown place"),
    Parameter("overlap_min_s", 60, "s", "T01, T02: two movements that share more are at the same time", "RULES 6"),
    Parameter(
        "written_overlap_s", 600, "s", "T01: overlap that times written by hand have where the readings continue", "own"
    ),
    Parameter(
        "mean_speed_kmh", 110, "km/h", "G01: a trip's mean speed from which no bus drove it", "Rio SMTR 110 km/h"
    ),
    Parameter("reported_speed_kmh", 150, "km/h", "G01: a reported speed above this", "Rio SMTR"),
    Parameter("speed_sentinel_kmh", 250, "km/h", "G01: from this on a reported speed is an error value, such as 255"),
    Parameter("moved_unseen_km", 1, "km", "G02: distance between a leg's end and the next one's start"),
    Parameter("repeated_min_km", 2, "km", "G05: shortest trip that is compared with the day before"),
    Parameter("repeated_min_trips", 2, "trips", "G05: trips that must repeat those of the day before to the second"),
    Parameter("detour_pct", 125, "%", "G06: km of a trip, of those that its route expects", "RULES 6"),
    Parameter("detour_min_trips", 3, "trips", "G06: other trips of the route that show a wrong expected_km"),
    Parameter("far_from_place_km", 1, "km", "G08: a vehicle that stopped this near to a place may have been there"),
    Parameter("place_search_s", 1800, "s", "G08: how long before and after a run its vehicle's stops are looked at"),
    Parameter("fall_km", 1, "km", "O01: an odometer that falls by more"),
    Parameter("frozen_km", 2, "km", "O03: path over which an odometer may stand, and its resolution"),
    Parameter(
        "parked_count_km", 2, "km", "O04: km that an odometer may count while the tracker stands, and its resolution"
    ),
    Parameter("parked_radius_m", 200, "m", "O03, O04: a tracker within this of where it was stands"),
    Parameter("exchange_km", 2, "km", "O08: a reading this close to another vehicle's last one continues it", "own"),
    Parameter("exchange_days", 1, "days", "O08: a registered move so many days from it explains it", "own"),
    Parameter("digits_min_runs", 60, "runs", "S01: start readings of a vehicle-cycle that are tested", "own"),
    Parameter("digits_p", 1e-6, "probability", "S01: corrected p below which digits are not uniform", "own"),
    Parameter("digits_read_km", 1, "km", "S01: readings that follow the measured km this closely were read", "own"),
    Parameter("constant_min_runs", 20, "runs", "S03: runs between two places that are tested", "own"),
    Parameter("constant_pct", 80, "%", "S03: share of them that declare one value", "own"),
    Parameter(
        "constant_sd_pct", 3, "%", "S03: standard deviation of the measured km, of their mean, above this", "own"
    ),
    Parameter("constant_p", 0.001, "probability", "S03: corrected p below which so many equal values are no chance"),
    Parameter("rounding_below_km", 1, "km", "K05: differences below this are roundings", "own"),
    Parameter("rounding_mean_km", 0.25, "km", "K05: mean of declared - measured above this", "own"),
    Parameter("rounding_min_runs", 200, "runs", "K05: and at least so many", "own"),
    Parameter("rounding_p", 0.001, "probability", "K05: corrected p below which the mean is not chance", "own"),
    Parameter(
        "peers_z", 3.5, "deviations", "S05: robust z of a vehicle's median on a route above this", "Iglewicz 1993"
    ),
    Parameter("peers_p", 0.05, "probability", "S05: corrected p below which it is not chance", "own"),
    Parameter("peers_min_pct", 5, "%", "S05: and no other vehicle's median is this close to its own", "own"),
    Parameter("peers_min_vehicles", 20, "vehicles", "S05: other vehicles on the route, each with its trips", "own"),
    Parameter("peers_own_trips", 5, "trips", "S05: trips of each vehicle on the route", "own"),
    Parameter("profile_days", 7, "days", "O07: comparable days in a row that are tested against the past", "own"),
    Parameter("profile_past_days", 20, "days", "O07: and comparable days before them, at least", "own"),
    Parameter("profile_speed_pct", 15, "%", "O07: change of the speed in motion, which a driver alone rarely makes"),
    Parameter("profile_standing_pct", 50, "%", "O07: and change of the time stood per trip, of the usual one"),
    Parameter("profile_standing_s", 60, "s", "O07: and at least so much of it", "own"),
    Parameter("profile_p", 0.01, "probability", "O07: corrected p below which both changes are not chance", "own"),
    Parameter("profile_min_km", 5, "km", "O07: shortest trip that is compared", "own"),
    Parameter("profile_way_pct", 3, "%", "O07: deviation from a way's median km beyond which it is another way", "own"),
    Parameter("profile_interval_factor", 1.5, "factor", "O07: mean step / the device's usual: beyond it, not compared"),
    Parameter("profile_way_trips", 5, "trips", "O07: trips of one way, shift and driver that show the usual", "own"),
    Parameter("profile_peers", 3, "vehicles", "O07: others of the unit that show what all drove like on the day"),
    Parameter("full_pct", 95, "%", "V05: share of a vehicle-cycle's runs that declare exactly its seats", "own"),
    Parameter("full_min_runs", 20, "runs", "V05: and at least so many runs", "own"),
    Parameter("ratio_days", 7, "days", "O05: days over which a vehicle's odometer/GPS ratio is judged"),
    Parameter("ratio_pct", 3, "%", "O05: tolerated deviation of that ratio from 1"),
    Parameter("ratio_sure_pct", 6, "%", "O05: a deviation beyond this leaves no doubt"),
    Parameter("ratio_min_km", 50, "km", "O05: and at least so many km were compared"),
    Parameter("calibrated_pct", 2, "%", "Evidence grade A: deviation of the device's odometer/GPS ratio from 1", "own"),
    Parameter("calibration_days", 28, "days", "Days before a cycle that are read for the calibration and O07"),
    Parameter("calibration_min_km", 2, "km", "Shortest trip that is compared for the calibration"),
    Parameter(
        "calibration_change_pct", 1, "%", "Smallest change of the ratio that is reported: a new tyre is 1 to 3 %"
    ),
    Parameter("calibration_p", 0.01, "probability", "Significance of such a change", "Pettitt 1979"),
    Parameter(
        "unit_tolerance_pct", 5, "%", "An odometer/GPS ratio within this of metres, miles, tenths or tens is that unit"
    ),
    Parameter("scale_tolerance_pct", 20, "%", "A ratio further from 1 that no unit explains is reported"),
    Parameter("clock_min_runs", 3, "runs", "Declared runs that must fit a clock shift of whole hours"),
    Parameter("clock_min_s", 120, "s", "Smallest common offset of a day's runs to their trips that is a clock's"),
    Parameter("clock_max_s", 900, "s", "Largest such offset"),
    Parameter("clock_spread_s", 120, "s", "Median absolute deviation that such offsets may have"),
    Parameter("clock_max_h", 12, "h", "Largest whole-hour shift that a clock is suspected of"),
    Parameter("clock_fit_s", 600, "s", "How closely start and end of a run fit a trip at that shift"),
    Parameter(
        "clock_step_s",
        300,
        "s",
        "Most that the step of a device slower than fine_step_s adds to it: beyond 20 min every end fits some hour",
    ),
    Parameter(
        "constant_place_points", 20, "points", "Equal coordinates of a day that are a stuck receiver, not a rest"
    ),
    Parameter("silent_fleet_pct", 2, "%", "Q02: vehicle-days without data that a fleet may have"),
    Parameter("day_acceptance_pct", 95, "%", "A day of which less was accepted is marked", "Rio SMTR 96 %"),
    Parameter("report_rounding_km", 0.005, "km", "Q05: tolerated difference of a report's total, a row"),
    Parameter("weight_c", 40, "points", "Score weight of a critical finding"),
    Parameter("weight_h", 20, "points", "Score weight of a high finding"),
    Parameter("weight_m", 8, "points", "Score weight of a medium finding"),
    Parameter("weight_l", 2, "points", "Score weight of a low finding"),
    Parameter("forecast_seasonal_factor", 1, "factor", "Forecast of the cycle's remaining km"),
    Parameter("forecast_alpha", 0.3, "factor", "Exponential smoothing of the daily variable cost"),
    Parameter(
        "sample_confidence_pct", 95, "%", "Sample for review: probability with which its upper limit holds", "AICPA"
    ),
    Parameter(
        "sample_materiality_pct", 2, "%", "Sample for review: overpayment of a cycle that is tolerated, of its cost"
    ),
    Parameter("contest_business_days", 10, "days", "A carrier may contest so many business days after publication"),
    Parameter("final_after_days", 3, "days", "A cycle is final so many days after its end"),
    Parameter("adjustment_months", 2, "months", "How far before the open cycle late data still make an adjustment"),
)


_BY_NAME = {parameter.name: parameter for parameter in DEFAULTS}


@dataclass(frozen=True)
class ParameterSet:
    """All parameters in force on one day: read them as attributes, e.g. `parameters.stop_radius_m`."""

    values: tuple[tuple[str, float], ...]
    changed: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> float:
        for key, value in object.__getattribute__(self, "values"):
            if key == name:
                return value
        raise AttributeError(f"{name} is not a parameter")

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of a SHA-256 over all names and values."""
        text = ";".join(f"{name}={value!r}" for name, value in sorted(self.values))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def drivable_km(self, seconds: np.ndarray) -> np.ndarray:
        """The most km that an odometer counts in so many seconds; of one step `kernels.odometer.is_plausible` asks."""
        return self.impossible_kmh * seconds / 3600 + self.odometer_slack_km

    def as_frame(self) -> pd.DataFrame:
        """Rows of `ops.parameter_versions`: parameters_version, name, value, unit, origin."""
        import pandas as pd

        units = {parameter.name: parameter.unit for parameter in DEFAULTS}
        return pd.DataFrame(
            [
                {
                    "parameters_version": self.version,
                    "name": name,
                    "value": value,
                    "unit": units[name],
                    "origin": "ref.parameters" if name in self.changed else "default",
                }
                for name, value in self.values
            ]
        )


def parameter_fault(name: str, value: float) -> str | None:
    """What is wrong with a value of a parameter, as the end of a sentence; None when it can be used."""
    parameter = _BY_NAME.get(name)
    if parameter is None:
        near = difflib.get_close_matches(name, _BY_NAME, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{name[:60]} is not a parameter{hint}; docs/parameters.md lists them"
    low, high = parameter.limits
    if not low <= value <= high:
        return f"{name} is {value:g} {parameter.unit}, outside of {low:g} to {high:g}"
    return None


def parameters_on(day: dt.date, overrides: pd.DataFrame | None = None) -> ParameterSet:
    """The set in force on a day: defaults, changed by the valid rows of `ref.parameters` (name, value, valid_from/to).

    Raises ValueError when a valid row names a parameter that does not exist or gives it a value outside of its limits,
    or two valid rows name the same one.
    """
    values = {parameter.name: float(parameter.default) for parameter in DEFAULTS}
    changed: set[str] = set()
    for row in [] if overrides is None else overrides.to_dict("records"):
        if not _is_valid(row, day):
            continue
        fault = parameter_fault(row["name"], float(row["value"]))
        if fault:
            raise ValueError(f"reference/parameters.csv: {fault}")
        if row["name"] in changed:
            raise ValueError(f"reference/parameters.csv: two rows of {row['name']} are valid on {day}")
        changed.add(row["name"])
        values[row["name"]] = float(row["value"])
    return ParameterSet(tuple(sorted(values.items())), tuple(sorted(changed)))


def _is_valid(row: dict[Any, Any], day: dt.date) -> bool:
    import pandas as pd

    starts, ends = row["valid_from"], row["valid_to"]
    return (pd.isna(starts) or starts <= day) and (pd.isna(ends) or ends >= day)


DEFAULT_PARAMETERS = parameters_on(dt.date(2000, 1, 1))
