"""Runs of the cycle before that are declared again in this one: D09.

Two rows of one cycle that declare one run are D08, in `rules.day.declarations.declared`.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.bulletin_numbers import NUMBER_KEY, with_number_series
from fleet_audit.logic.audit.repeats import of_another_carrier
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import RUNS_IN_CYCLE
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record, RowRecords
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.primitives.wall_clock import to_local
from fleet_audit.logic.reference.validity import DEFAULT_ZONE, vehicles_on_days

_READINGS = ["plate", "odometer_start_km", "odometer_end_km"]
_WRITTEN = ["plate", *NUMBER_KEY, "departure", "arrival", "declared_km", "origin", "destination"]
_MOST_REPEATED = 0.1  # of a vehicle's runs, or of the numbers on a carrier's vehicles: beyond it none names one run
_PROOF_PT = {
    "readings": "mesmo veículo e mesmas leituras de hodômetro",
    "bulletin_number": "mesmo veículo, número, horários, locais e km",
}


def billed_twice(context: AuditCycle) -> list[Draft]:
    """D09: a run has the key of a run of the cycle before; the later one is accused.

    Not where it is of the vehicle's carrier and the earlier one of another: that one was held in its cycle, and the
    owner declares its run once.

    The key is the plate and both readings of the odometer, where few runs of its cycle share theirs; or the plate, the
    carrier's NUMERO ATA, unless the carrier may have begun to count again, both times of day, the places and the km. A
    number that names another run is none (Q05). At stake is the whole run, and its BRL only where both were linked to a
    trip: one that was not was held, and nothing was paid for it. So is a night run that is written with both of its
    dates, of which the first belongs to the cycle before.
    """
    both = _keyed(context, pd.concat([context.runs, context.earlier_runs], ignore_index=True))
    later, earlier = both.iloc[: len(context.runs)], both.iloc[len(context.runs) :]
    by_readings = _pairs(_with_own_readings(later), _with_own_readings(earlier), _READINGS)
    by_number = _pairs(_with_number(later), _with_number(earlier), _WRITTEN)
    pairs = pd.concat([by_readings.assign(key="readings"), by_number.assign(key="bulletin_number")]).drop_duplicates(
        "later"
    )
    runs = context.run_records(pairs["later"]) | RowRecords(context.earlier_runs, "declared_run_id").of(
        pairs["earlier"]
    )
    foreign_before = _foreign_before(context, set(pairs["earlier"]))
    linked = (_linked(context.matches) | _linked(context.earlier_matches)) - context.foreign_runs - foreign_before
    pairs = pairs[pairs["later"].isin(context.foreign_runs) | ~pairs["earlier"].isin(foreign_before)]
    return [
        _draft(context, runs[pair.later], runs[pair.earlier], str(pair.key), {pair.later, pair.earlier} <= linked)
        for pair in pairs.sort_values("later").itertuples()
    ]


def _foreign_before(context: AuditCycle, ids: set[str]) -> set[str]:
    """Which of these runs of the cycle before another carrier than the vehicle's wrote."""
    runs = context.earlier_runs[context.earlier_runs["declared_run_id"].isin(ids)]
    units = context.vehicles[["unit_code", "timezone"]]
    owned = vehicles_on_days(context.vehicle_terms, context.contracts, units, runs["operational_date"])
    return set(runs.loc[of_another_carrier(runs, owned), "declared_run_id"])


def _keyed(context: AuditCycle, runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with what their keys compare: local times of day and folded places."""
    zone_of = dict(zip(context.vehicles["plate"], context.vehicles["timezone"], strict=True))
    zones = pd.Series([zone_of.get(plate, DEFAULT_ZONE) for plate in runs["plate"]], index=runs.index)
    clocks = {name: to_local(runs[f"{name}_at"], zones).dt.strftime("%H:%M:%S") for name in ("started", "ended")}
    places = {
        name: [fold("" if pd.isna(text) else text) for text in runs[f"{name}_text"]]
        for name in ("origin", "destination")
    }
    numbered = with_number_series(runs, context.cycle.start.day)
    return numbered.assign(departure=clocks["started"], arrival=clocks["ended"], **places)


def _with_own_readings(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose readings are an odometer's: some carriers write `0` and the km, or the same two numbers every day.

    A run that is billed again twice has the same readings, too, but is one of the many of its vehicle.
    """
    is_counted = (runs["odometer_start_km"] > 0) & (runs["odometer_end_km"] > runs["odometer_start_km"])
    counted = runs[is_counted.fillna(False).astype(bool)]
    repeated = counted.assign(share=counted.duplicated(_READINGS, keep=False)).groupby("plate")["share"]
    return counted[repeated.transform("mean") <= _MOST_REPEATED]


def _with_number(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of carriers whose numbers name one run: some count from 1 each day, and repeat almost every number."""
    numbered = runs[runs["bulletin_number"].notna()]
    days = numbered.groupby(["plate", *NUMBER_KEY], dropna=False)["declared_date"].nunique()
    repeated = (days > 1).groupby(level="carrier_code", dropna=False).mean()
    anew = repeated.index[repeated > _MOST_REPEATED]
    return numbered[~numbered["carrier_code"].isin(anew)]


def _pairs(later: pd.DataFrame, earlier: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """later and earlier declared_run_id with equal keys, of several earlier runs the last."""
    plain = [
        frame[[*key, "declared_run_id", "started_at"]].astype(dict.fromkeys(key, "str")) for frame in (later, earlier)
    ]
    pairs = plain[0].merge(plain[1], on=key, suffixes=("", "_earlier"))
    pairs = pairs[pairs["declared_run_id"] != pairs["declared_run_id_earlier"]]
    pairs = pairs.sort_values("started_at_earlier").drop_duplicates("declared_run_id", keep="last")
    return pairs.rename(columns={"declared_run_id": "later", "declared_run_id_earlier": "earlier"})[
        ["later", "earlier"]
    ]


def _linked(matches: pd.DataFrame) -> set[str]:
    """Declared runs with a trip."""
    pairs = zip(matches["declared_run_ids"], matches["trip_ids"], strict=True)
    return {key for ids, trips in pairs if len(trips) for key in ids}


def _draft(context: AuditCycle, later: Record, earlier: Record, key: str, is_paid: bool) -> Draft:
    is_of_one = pd.isna(earlier["carrier_code"]) or earlier["carrier_code"] == later["carrier_code"]
    original = (
        f"a {sentences.run(earlier)}, de {sentences.day(earlier['operational_date'])} ({earlier['file_name']}, linha "
        f"{earlier['row_number']}), já declarada no ciclo anterior"
        if is_of_one
        else "uma ata que outra transportadora declarou no ciclo anterior"
    )
    return Draft(
        "D09",
        later["plate"],
        f"A {sentences.run(later)}, de {sentences.day(later['operational_date'])} ({later['file_name']}, linha "
        f"{later['row_number']}), repete {original}: {_PROOF_PT[key]}; "
        f"{sentences.km(later['declared_km'])}.",
        WRITTEN_CONFIDENCE,
        run_ids=(later["declared_run_id"],),
        km_at_stake=later["declared_km"],
        rate=context.rates.get(later["plate"]) if is_paid else Decimal(0),
        facts={"key": key, "billed_before": earlier, "billed_again": later},
    )


RULES = (
    Rule(
        "D09",
        "8",
        "C",
        "Corrida faturada em dois ciclos",
        "Uma corrida do ciclo anterior foi declarada de novo neste ciclo.",
        "B",
        billed_twice,
        "cycle",
        "paid_doubtful_brl",
        needs=(
            RUNS_IN_CYCLE,
            Need(lambda context: len(context.earlier_runs) > 0, "nenhuma ata do ciclo anterior foi processada"),
        ),
    ),
)
