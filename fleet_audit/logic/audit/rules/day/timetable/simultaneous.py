"""One vehicle in two places of a schedule at once: T01 of its movements and of its declared runs.

Drivers on two vehicles are in `drivers`; the same run declared twice is D08 in `declared`.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.bulletin_numbers import NUMBER_KEY, with_number_series
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import RUNS
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record, RowRecords
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.written_readings import READINGS, with_sound_readings
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.money import half_up

# One report that contradicts itself leaves little doubt; two devices or two files may each be right about one vehicle.
_SURE, _DOUBTFUL = WRITTEN_CONFIDENCE, 0.5
_SECOND_US = 1_000_000


def at_once(context: AuditDay) -> list[Draft]:
    """T01: movements of a visit report, or declared runs, of one vehicle that share more than overlap_min_s."""
    return [*_movements_at_once(context), *_runs_at_once(context)]


def self_overlaps(rows: pd.DataFrame, minimum_s: float) -> pd.DataFrame:
    """Pairs of rows of one plate that share more than `minimum_s`: earlier, later (row positions), overlap_s.

    Each later row has the earlier one with which it shares most. Rows have plate, started_at, ended_at and are sorted.
    """
    spans = intervals(rows)
    pairs = overlaps(spans, spans)
    pairs = pairs[(pairs["left"] < pairs["right"]) & (pairs["overlap_us"] > minimum_s * _SECOND_US)]
    longest = pairs.sort_values(["right", "overlap_us", "left"], ascending=[True, False, True]).drop_duplicates("right")
    return pd.DataFrame(
        {"earlier": longest["left"], "later": longest["right"], "overlap_s": longest["overlap_us"] / _SECOND_US}
    ).reset_index(drop=True)


def _movements_at_once(context: AuditDay) -> list[Draft]:
    """Movements that count and share time.

    Several exports of one movement are one movement before the rules see them (`reported.movements.counted_movements`);
    what positions measured better (`superseded_by_trip_id`) is evidence only.
    """
    legs = context.legs_of_day
    legs = legs[(legs["source"] == "visit_report") & legs["superseded_by_trip_id"].isna() & (legs["km_reported"] > 0)]
    legs = legs.sort_values(["plate", "started_at", "ended_at", "leg_id"]).reset_index(drop=True)
    pairs = self_overlaps(legs, context.parameters.overlap_min_s)
    ids = legs["leg_id"]
    rows = RowRecords(legs, "leg_id").of(ids.iloc[[*pairs["earlier"], *pairs["later"]]])
    return [
        _movement(context, rows[ids.iloc[pair.earlier]], rows[ids.iloc[pair.later]], float(pair.overlap_s))
        for pair in pairs.itertuples()
    ]


def _movement(context: AuditDay, earlier: Record, later: Record, overlap_s: float) -> Draft:
    plate, zone = later["plate"], context.zone(later["plate"])
    devices = {leg["device_id"] for leg in (earlier, later) if not pd.isna(leg["device_id"])}
    is_one_report = earlier["file_sha256"] == later["file_sha256"] and len(devices) < 2
    trip_ids = {earlier["trip_id"], later["trip_id"]}
    is_paid_twice = trip_ids <= context.paid_trips
    why = "" if is_one_report else " (os dois são de equipamentos ou de arquivos diferentes)"
    return Draft(
        "T01",
        plate,
        f"O relatório de visita traz o veículo {plate} em dois deslocamentos ao mesmo tempo{why}: em "
        f"{sentences.period(earlier, zone)} ({_places(earlier)}) e em {sentences.period(later, zone)} "
        f"({_places(later)}), com {sentences.number(overlap_s / 60, 0)} min em comum.",
        _SURE if is_one_report else _DOUBTFUL,
        (later["trip_id"],),
        km_at_stake=_shared_km(earlier, later, overlap_s) if is_paid_twice else None,
        rate=context.rate_of([later["trip_id"]], ()),
        facts={
            "overlap_s": overlap_s,
            "movements": [
                {
                    "leg_id": leg["leg_id"],
                    "local_times": sentences.period(leg, zone),
                    "places": _places(leg),
                    "km_reported": leg["km_reported"],
                    "device_id": leg["device_id"],
                    "file_sha256": leg["file_sha256"],
                    "row_number": leg["row_number"],
                }
                for leg in (earlier, later)
            ],
        },
        context_trip_ids=tuple(trip_ids - {later["trip_id"]}),
        extra=(earlier["leg_id"], later["leg_id"]),
        severity=None if is_one_report else "M",
    )


def _shared_km(earlier: Record, later: Record, overlap_s: float) -> Decimal:
    """The km of the shared time, by the movement that has fewer there: the vehicle drove one of the two."""
    lasting = ((leg["ended_at"] - leg["started_at"]).total_seconds() for leg in (earlier, later))
    shares = (
        overlap_s / seconds * float(leg["km_reported"]) for leg, seconds in zip((earlier, later), lasting, strict=True)
    )
    return half_up(min(shares))


def _places(row: Record, what: str = "address") -> str:
    """Origin and destination of a movement (`address`) or declared run (`text`)."""
    ends = (row[f"origin_{what}"], row[f"destination_{what}"])
    return " a ".join("local não informado" if pd.isna(end) else str(end) for end in ends)


def _runs_at_once(context: AuditDay) -> list[Draft]:
    """Declared runs that share time and are not one run twice (D08), nor one number with two contents (Q05).

    Not runs that another carrier than the vehicle's wrote: nothing shows that they are this vehicle's, and their trips
    are the vehicle's carrier's. They are held.
    """
    runs = _with_sure_times(context)
    pairs = self_overlaps(runs, context.parameters.overlap_min_s)
    ids = runs["declared_run_id"]
    rows = context.run_records(ids.iloc[[*pairs["earlier"], *pairs["later"]]])
    numbers = runs.groupby([*NUMBER_KEY], dropna=False).ngroup().where(runs["bulletin_number"].notna()).to_numpy()
    departure_km, arrival_km = (runs[name].to_numpy(dtype=float, na_value=np.nan) for name in READINGS)
    drafts = []
    for pair in pairs.itertuples():
        earlier, later, overlap_s = rows[ids.iloc[pair.earlier]], rows[ids.iloc[pair.later]], float(pair.overlap_s)
        continues = arrival_km[pair.earlier] <= departure_km[pair.later]
        is_of_day = later["operational_date"] == context.day
        is_one_number = numbers[pair.earlier] == numbers[pair.later]
        if is_of_day and not is_one_number and not _is_explained(context, earlier, later, overlap_s, continues):
            drafts.append(_declared(context, earlier, later, overlap_s))
    return drafts


def _with_sure_times(context: AuditDay) -> pd.DataFrame:
    """Runs whose day and arrival are known, once each; an arrival that would make it slower than standing is a typo."""
    notes = context.notes[context.notes["note_code"] == "arrival_unreadable"]
    unreadable = set(zip(notes["file_sha256"], notes["row_number"], strict=True))
    runs = with_number_series(with_sound_readings(context.runs, context.parameters))
    is_readable = [row not in unreadable for row in zip(runs["file_sha256"], runs["row_number"], strict=True)]
    hours = (runs["ended_at"] - runs["started_at"]).dt.total_seconds() / 3600
    is_moving = runs["declared_km"].astype("float64") >= context.parameters.standing_kmh * hours
    is_repeated = runs["declared_run_id"].isin(context.foreign_runs | set(context.repeated_runs["later"]))
    kept = runs[np.array(is_readable, dtype=bool) & is_moving & ~is_repeated & ~runs["is_day_uncertain"].astype(bool)]
    return kept.sort_values(["plate", "started_at", "ended_at", "declared_run_id"]).reset_index(drop=True)


def _is_explained(context: AuditDay, earlier: Record, later: Record, overlap_s: float, continues: bool) -> bool:
    """Whether the two runs took place one after the other, and only their times are written wrong.

    So where each has trips of its own, or where their readings continue and the times overlap by little.
    """
    trips = [set(context.trips_of_run.get(run["declared_run_id"], ())) for run in (earlier, later)]
    has_own_trips = all(trips) and not trips[0] & trips[1]
    is_short = continues and overlap_s <= context.parameters.written_overlap_s
    return has_own_trips or is_short


def _declared(context: AuditDay, earlier: Record, later: Record, overlap_s: float) -> Draft:
    plate, zone = later["plate"], context.zone(later["plate"])
    is_long = overlap_s > context.parameters.written_overlap_s
    return Draft(
        "T01",
        plate,
        f"A {sentences.run(earlier)} e a {sentences.run(later)} declaram o veículo {plate} em duas corridas ao mesmo "
        f"tempo: {_places(earlier, 'text')} em {sentences.period(earlier, zone)} e {_places(later, 'text')} em "
        f"{sentences.period(later, zone)}, com {sentences.number(overlap_s / 60, 0)} min em comum.",
        _SURE if is_long else _DOUBTFUL,
        (),
        (later["declared_run_id"], earlier["declared_run_id"]),
        facts={"overlap_s": overlap_s, "local_times": [sentences.period(run, zone) for run in (earlier, later)]},
        severity=None if is_long else "M",
    )


def _has_reports_or_runs(context: AuditDay) -> bool:
    has_reports = bool((context.legs_of_day["source"] == "visit_report").any())
    return has_reports or RUNS.is_met(context)


RULES = (
    Rule(
        "T01",
        "7",
        "C",
        "Veículo em duas viagens ao mesmo tempo",
        "Um relatório de visita, ou um boletim, coloca o mesmo veículo em dois deslocamentos no mesmo horário.",
        "B/V",
        at_once,
        amount="paid_doubtful_brl",
        parameters=("overlap_min_s", "written_overlap_s", "standing_kmh"),
        needs=(Need(_has_reports_or_runs, "nenhum relatório de visita nem boletim cobre o dia"),),
    ),
)
