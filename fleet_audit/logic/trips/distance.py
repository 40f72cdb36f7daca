"""Measured distance: odometer or GPS, its uncertainty, and its evidence grade.

Legs and trips share the same choice; RULES section 2, "Measured km".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import Columns
from fleet_audit.logic.primitives.parameters import ParameterSet


def measured_km(rows: Columns, parameters: ParameterSet) -> dict[str, np.ndarray]:
    """Measured distance of each leg or trip.

    Args:
        rows: km_odometer, km_gps, km_bridged, km_chord, km_long_chord, km_far_chord, km_fine, km_open, km_reported (km,
            NaN: not measured), is_odometer_valid, covered_s, duration_s (s), odometer_resolution_km (of a report: of
            what it prints), source, optionally legs (default 1) and calibration_ratio (NaN: unknown).
        parameters: agree_pct, agree_km, gps_min_coverage_pct, calibrated_pct, and the uncertainties of odometer, chord,
            GPS and report.

    A trip's odometer km are those between its first and its last reading, whatever it halted in between: one leg's last
    reading is the next one's first, and their roundings cancel. Counted once a leg, the median half-width was 2.9 times
    the median error, and the road was held no more often.

    Returns:
        km (float, NaN: none), km_method, coverage_pct, km_uncertainty, is_agreed (not where rounded coordinates leave
        half of the path open), is_disputed (both, apart).
    """
    odometer, gps, covered, duration, reported = (
        _numbers(rows, name) for name in ("km_odometer", "km_gps", "covered_s", "duration_s", "km_reported")
    )
    bridged, resolution, fine, open_km = (
        np.nan_to_num(_numbers(rows, name)) for name in ("km_bridged", "odometer_resolution_km", "km_fine", "km_open")
    )
    coverage = 100 * np.divide(covered, duration, out=np.full(len(duration), np.nan), where=duration > 0)
    is_valid = np.asarray(rows["is_odometer_valid"], dtype=bool) & ~np.isnan(odometer)
    has_both = is_valid & ~np.isnan(gps)
    compared = np.maximum(odometer - bridged, 0)
    tolerance = _tolerance_km(odometer, gps, compared, parameters) + resolution
    difference = np.abs(odometer - gps)
    is_comparable = 2 * fine >= gps
    is_disputed = has_both & is_comparable & (difference > tolerance + 1e-9)
    by_odometer = is_valid & (~is_disputed | (coverage < parameters.gps_min_coverage_pct))
    is_report = np.asarray(rows["source"] == "visit_report", dtype=bool)
    km = np.where(is_report, reported, np.where(by_odometer, odometer, gps))
    apart = np.where(has_both, difference, 0.0)
    legs = _numbers(rows, "legs") if "legs" in rows else np.ones(len(km))
    uncertainty = np.where(
        is_report,
        report_doubt_km(reported, parameters, resolution, legs),
        np.where(
            by_odometer,
            _odometer_doubt(rows, np.where(has_both & is_comparable, compared, 0.0), apart, parameters),
            np.maximum(apart + _chord_doubt(rows, is_valid, parameters), parameters.gps_uncertainty_pct / 100 * km),
        ),
    )
    method = np.where(is_report, "report", np.where(by_odometer, "odometer", "gps")).astype(object)
    method[np.isnan(km)] = None
    return {
        "km": km,
        "km_method": method,
        "coverage_pct": coverage,
        "km_uncertainty": uncertainty,
        "is_agreed": has_both & ~is_disputed & (2 * open_km <= gps),
        "is_disputed": is_disputed,
    }


def _tolerance_km(odometer: np.ndarray, gps: np.ndarray, compared: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """By how many km odometer and GPS may differ, beside the odometer's resolution.

    One that counted nothing over a path beyond the fixes' error has failed: in whole km, dead, it would measure 0 of a
    shuttle of 1.4 km.
    """
    counting = np.maximum(parameters.agree_pct / 100 * compared, parameters.agree_km)
    standing = parameters.agree_pct / 100 * gps + parameters.stop_radius_m / 1000
    return np.where(odometer > 0, counting, np.minimum(counting, standing))


def _numbers(rows: Columns, name: str) -> np.ndarray:
    return np.asarray(rows[name], dtype=float)


def _odometer_doubt(rows: Columns, confirmed: np.ndarray, apart: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Doubt (km) of odometer km, of which a path measured `confirmed` as well, `apart` km longer or shorter.

    An odometer that counts in kilometres (5, not 1) is apart from the chords because of its steps: the greater of both
    is its doubt, not their sum, and chords are short of the road.
    """
    odometer, gps = (np.nan_to_num(_numbers(rows, name)) for name in ("km_odometer", "km_gps"))
    resolution = np.nan_to_num(_numbers(rows, "odometer_resolution_km"))
    unconfirmed = _unconfirmed_doubt(rows, confirmed, apart, parameters)
    least = parameters.odometer_least_uncertainty_pct / 100 * odometer
    chords = np.maximum(resolution, apart + parameters.chord_uncertainty_pct / 100 * gps) + unconfirmed
    return np.where(resolution > 1 + 1e-9, chords, resolution + np.maximum(apart + unconfirmed, least))


def _unconfirmed_doubt(rows: Columns, confirmed: np.ndarray, apart: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Doubt (km) of odometer km that no path confirms: all of them where GPS contradicts or its steps are too coarse to
    be compared, else those without one, by as much more as the device's ratio over its other trips is off.

    |odometer - GPS| is 0 over bridged steps by construction, and where both are apart the path errs as well: without
    this the stated doubt held the road on 52.7 % of trips with a position every 300 s, on 54.9 % at 4 % too many km;
    and on 89.5 % with one every 120 s while its chords confirmed the odometer.
    """
    odometer = _numbers(rows, "km_odometer")
    is_apart = apart > parameters.calibrated_pct / 100 * confirmed
    off = (
        np.abs(np.nan_to_num(_numbers(rows, "calibration_ratio"), nan=1.0) - 1) if "calibration_ratio" in rows else 0.0
    )
    share = parameters.odometer_uncertainty_pct / 100
    return share * np.where(is_apart, odometer, odometer - confirmed) + off * (odometer - confirmed)


def _chord_doubt(rows: Columns, is_valid: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Doubt (km) of steps bridged by chords without a reading: the longer the step, the more corners it cuts.

    Where odometers stood, chords of 600 s were 9 % short of a simulated road and those of 900 s 13 %; counted as those
    of 300 s, their doubt held it on 88 % and 64 % of trips. What an odometer that does not hold (`is_valid`) counted
    over the other long steps is not surer than a chord: it may have missed a part that the chord does not show.
    """
    names = ("km_chord", "km_long_chord", "km_far_chord", "km_bridged")
    chord, long_chord, far_chord, bridged = (np.nan_to_num(_numbers(rows, name)) for name in names)
    share, long_share = parameters.chord_uncertainty_pct / 100, parameters.long_chord_uncertainty_pct / 100
    read = np.where(is_valid, 0.0, np.maximum(bridged - long_chord, 0.0))
    return share * (chord - long_chord + read) + long_share * (long_chord + far_chord)


def report_doubt_km(
    reported_km: np.ndarray, parameters: ParameterSet, resolution_km: np.ndarray, legs: np.ndarray | float = 1.0
) -> np.ndarray:  # fmt: skip
    """Doubt (km) of reported distances: half of the last digit printed, at least report_leg_uncertainty_km, per leg,
    and a share of the km.

    Of 80 reports in tenths, taken as if in hundredths, the stated doubt held the road on 82 %; of reports in whole km
    of a spoilt development fleet it held 80 % together with those that repeat an odometer that is 4 % off.
    """
    rounding_km = np.maximum(parameters.report_leg_uncertainty_km, np.asarray(resolution_km) / 2)
    doubt_km: np.ndarray = rounding_km * legs + parameters.report_uncertainty_pct / 100 * reported_km
    return doubt_km


def inherited_doubt(trips: pd.DataFrame, measured: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Doubt (km) of trips that an odometer or a report measures alone: their km times what the odometer is off.

    A report prints what the odometer counts. It is known to be off by the median |odometer / GPS - 1| of the vehicle's
    comparable trips of positions in the window, of at least `calibration_min_km`; 0 where there is none.

    Args:
        trips: plate, km; measured: the columns of `calibration_ratios`.
        parameters: calibration_min_km.
    """
    odometer, gps = _comparable_km(measured)
    is_long = gps >= parameters.calibration_min_km
    off = pd.Series(np.abs(odometer[is_long] / gps[is_long] - 1), dtype=float)
    known = off.groupby(measured["plate"].to_numpy()[is_long]).median()
    return np.nan_to_num(trips["plate"].map(known).to_numpy(dtype=float) * trips["km"].to_numpy(dtype=float))


def evidence_grade(measured: Columns, trips: Columns, parameters: ParameterSet) -> np.ndarray:
    """A: odometer and GPS agree, device calibrated, well covered, both ends in a known place; B: one fails; else C.

    A visit report, and an odometer without GPS, is C whatever else holds (RULES section 2). A place that a document
    decided, whose candidate stands beside it, is not known by the positions.
    """
    ratio = _numbers(trips, "calibration_ratio")
    failures = (
        (~np.asarray(measured["is_agreed"])).astype(int)
        + (np.abs(ratio - 1) > parameters.calibrated_pct / 100)
        + ~(np.asarray(measured["coverage_pct"]) >= parameters.coverage_min_pct)
        + np.any(
            [
                pd.isna(trips[f"{side}_poi_id"]) | ~pd.isna(trips[f"{side}_candidates"])
                for side in ("origin", "destination")
            ],
            axis=0,
        )
    )
    failures = np.maximum(failures, np.isnan(ratio))  # unknown: no A, but no failure
    grade = np.array(["A", "B", "C", "C", "C"], dtype=object)[failures]
    weak = np.asarray(trips["source"] == "visit_report", dtype=bool) | np.isnan(_numbers(trips, "km_gps"))
    return np.where(weak, "C", grade)


def calibration_ratios(trips: Columns) -> np.ndarray:
    """Odometer km / GPS km of each trip's device over all trips of the window, NaN where nothing can be compared.

    Of trips with a sound odometer, at least half of whose km lie in fine steps. The window shows about three days of a
    device, where RULES section 2 names seven: a day is computed from its window alone (docs/segmentation.md).

    Args:
        trips: plate, device_id, km_odometer, km_gps, km_bridged, km_fine, is_odometer_valid.
    """
    compared = _comparable_km(trips)
    plate, device = (pd.factorize(trips[name])[0].astype(np.int64) + 1 for name in ("plate", "device_id"))
    pairs = plate * (device.max(initial=0) + 1) + device  # 0 stands for a report's missing device
    counted, driven = pd.DataFrame(compared.T).groupby(pairs).transform("sum").to_numpy().T
    return np.divide(counted, driven, out=np.full(len(counted), np.nan), where=driven > 0)


def _comparable_km(trips: Columns) -> np.ndarray:
    """km by the odometer and by GPS that both measured of each trip; 0 where they cannot be compared."""
    odometer, gps, bridged = (_numbers(trips, name) for name in ("km_odometer", "km_gps", "km_bridged"))
    is_sound = np.asarray(trips["is_odometer_valid"], dtype=bool) & ~np.isnan(odometer - bridged)
    is_sound &= 2 * np.nan_to_num(_numbers(trips, "km_fine")) >= gps
    return np.where(is_sound, np.stack([odometer, gps]) - bridged, 0.0)
