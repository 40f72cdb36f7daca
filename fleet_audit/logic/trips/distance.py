"""Measured distance: odometer or GPS, its uncertainty, and its evidence grade.

Legs and trips share the same choice; RULES section 2, "Measured km".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet


def measured_km(rows: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Measured distance of each leg or trip.

    Args:
        rows: km_odometer, km_gps, km_bridged, km_chord, km_long_chord, km_fine, km_reported (km, NaN: not
            measured), is_odometer_valid, covered_s, duration_s (s), odometer_resolution_km (of a report: of what it
            prints), source, optionally legs (default 1).
        parameters: agree_pct, agree_km, gps_min_coverage_pct, calibrated_pct, and the uncertainties of odometer, chord,
            GPS and report.

    A trip's odometer km are those between its first and its last reading, whatever it halted in between: one leg's last
    reading is the next one's first, and their roundings cancel. Counted once a leg, the median half-width was 2.9 times
    the median error, and the road was held no more often.

    Returns:
        km (float, NaN: none), km_method, coverage_pct, km_uncertainty, is_agreed, is_disputed (both, apart).
    """
    odometer, gps = rows["km_odometer"].to_numpy(float), rows["km_gps"].to_numpy(float)
    bridged = np.nan_to_num(rows["km_bridged"].to_numpy(float))
    duration = rows["duration_s"].to_numpy(float)
    coverage = 100 * np.divide(
        rows["covered_s"].to_numpy(float), duration, out=np.full(len(rows), np.nan), where=duration > 0
    )
    is_valid = rows["is_odometer_valid"].to_numpy(bool) & ~np.isnan(odometer)
    has_both = is_valid & ~np.isnan(gps)
    compared = np.maximum(odometer - bridged, 0)
    resolution = np.nan_to_num(rows["odometer_resolution_km"].to_numpy(float))
    tolerance = np.maximum(parameters.agree_pct / 100 * compared, parameters.agree_km) + resolution
    difference = np.abs(odometer - gps)
    is_comparable = 2 * np.nan_to_num(rows["km_fine"].to_numpy(float)) >= gps
    is_agreed = has_both & (~is_comparable | (difference <= tolerance + 1e-9))
    by_odometer = is_valid & (is_agreed | np.isnan(gps) | (coverage < parameters.gps_min_coverage_pct))
    is_report = (rows["source"] == "visit_report").to_numpy()
    reported = rows["km_reported"].to_numpy(float)
    km = np.where(is_report, reported, np.where(by_odometer, odometer, gps))
    apart = np.where(has_both, difference, 0.0)
    legs = rows["legs"].to_numpy(float) if "legs" in rows else np.ones(len(rows))
    uncertainty = np.where(
        is_report,
        _report_rounding(resolution, parameters) * legs + parameters.report_uncertainty_pct / 100 * reported,
        np.where(
            by_odometer,
            resolution
            + apart
            + _unconfirmed_doubt(odometer, np.where(has_both & is_comparable, compared, 0.0), apart, parameters),
            np.maximum(apart + _chord_doubt(rows, parameters), parameters.gps_uncertainty_pct / 100 * km),
        ),
    )
    method = np.where(is_report, "report", np.where(by_odometer, "odometer", "gps")).astype(object)
    method[np.isnan(km)] = None
    return pd.DataFrame(
        {
            "km": km,
            "km_method": method,
            "coverage_pct": coverage,
            "km_uncertainty": uncertainty,
            "is_agreed": is_agreed,
            "is_disputed": has_both & ~is_agreed,
        },
        index=rows.index,
    )


def _unconfirmed_doubt(
    odometer: np.ndarray, confirmed: np.ndarray, apart: np.ndarray, parameters: ParameterSet
) -> np.ndarray:
    """Doubt (km) of odometer km that no path confirms: all of them where GPS contradicts or its steps are too coarse to
    be compared, else those without one.

    |odometer - GPS| is 0 over bridged steps by construction, and where both are apart the path errs as well: without
    this the stated doubt held the road on 52.7 % of trips with a position every 300 s, on 54.9 % at 4 % too many km;
    and on 89.5 % with one every 120 s while its chords confirmed the odometer.
    """
    is_apart = apart > parameters.calibrated_pct / 100 * confirmed
    return parameters.odometer_uncertainty_pct / 100 * np.where(is_apart, odometer, odometer - confirmed)


def _chord_doubt(rows: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Doubt (km) of steps bridged by chords without a reading: the longer the step, the more corners it cuts."""
    chord, long_chord = (np.nan_to_num(rows[name].to_numpy(float)) for name in ("km_chord", "km_long_chord"))
    share, long_share = parameters.chord_uncertainty_pct / 100, parameters.long_chord_uncertainty_pct / 100
    return share * (chord - long_chord) + long_share * long_chord


def _report_rounding(resolution: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Rounding (km) of a reported distance: half of its last digit, at least report_leg_uncertainty_km.

    Of 80 reports in tenths, taken as if in hundredths, the stated doubt held the road on 82 %; of reports in whole km
    of a spoilt development fleet it held 80 % together with those that repeat an odometer that is 4 % off.
    """
    return np.maximum(parameters.report_leg_uncertainty_km, resolution / 2)


def evidence_grade(measured: pd.DataFrame, trips: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """A: odometer and GPS agree, device calibrated, well covered, both ends in a known place; B: one fails; else C.

    A visit report, and an odometer without GPS, is C whatever else holds (RULES section 2).
    """
    failures = (
        (~measured["is_agreed"]).astype(int)
        + (trips["calibration_ratio"] - 1).abs().gt(parameters.calibrated_pct / 100).astype(int)
        + (~(measured["coverage_pct"] >= parameters.coverage_min_pct)).astype(int)
        + (trips["origin_poi_id"].isna() | trips["destination_poi_id"].isna()).astype(int)
    ).to_numpy()
    failures = np.maximum(failures, trips["calibration_ratio"].isna().to_numpy(int))  # unknown: no A, but no failure
    grade = np.array(["A", "B", "C", "C", "C"], dtype=object)[failures]
    weak = (trips["source"] == "visit_report") | trips["km_gps"].isna()
    return np.where(weak, "C", grade)


def calibration_ratios(trips: pd.DataFrame) -> np.ndarray:
    """Odometer km / GPS km of each trip's device over all trips of the window, NaN where nothing can be compared.

    Of trips with a sound odometer, at least half of whose km lie in fine steps. The window shows about three days of a
    device, where RULES section 2 names seven: a day is computed from its window alone (docs/segmentation.md).

    Args:
        trips: plate, device_id, km_odometer, km_gps, km_bridged, km_fine, is_odometer_valid.
    """
    compared = trips[["km_odometer", "km_gps"]].sub(trips["km_bridged"], axis=0)
    is_sound = trips["is_odometer_valid"].astype(bool) & compared.notna().all(axis=1)
    is_sound &= 2 * trips["km_fine"].fillna(0.0) >= trips["km_gps"]
    device = trips["plate"].astype(object) + "|" + trips["device_id"].astype(object)
    sums = compared.where(is_sound, 0.0).groupby(device.to_numpy()).transform("sum")
    return (sums["km_odometer"] / sums["km_gps"].where(sums["km_gps"] > 0)).to_numpy(float)
