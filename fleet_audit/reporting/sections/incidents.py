"""Incidents in reports: what to look at first, the table of incidents, and the order that they give to findings.

Which findings form an incident and whose money it counts is decided in `logic.audit`; here are words and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.reporting.document_model import Field, Folded, Grid, Highlight, Kind, grid_of
from fleet_audit.reporting.labels import AMOUNTS, CAUSES, HELD_REASONS, rule_title
from fleet_audit.reporting.locale import counted, day, money, number
from fleet_audit.reporting.sections.figures import incidents_with_amount
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

INCIDENTS_NOTE = (
    "Achados com a mesma causa são um incidente, que conta cada valor uma vez. Em ordem do maior de seus valores. "
    "Na página e no PDF, os do mesmo veículo e da mesma regra estão em uma linha; na planilha, cada um na sua."
)
MOST_HIGHLIGHTS = 5  # a manager reads five before work
INCIDENT_FIELDS = (
    Field("cause", "Causa", width=22),
    Field("title", "Achado raiz", width=26),
    Field("plates", "Placas", width=12),
    Field("sentence_pt", "Explicação", width=60),
    Field("paid_doubtful_brl", "Em dúvida (R$)", Kind.BRL, 11),
    Field("disallowed_brl", "Glosa (R$)", Kind.BRL, 11),
    Field("held_brl", "Retido (R$)", Kind.BRL, 11),
    Field("in_favour_brl", "A favor (R$)", Kind.BRL, 11),
    Field("members", "Achados", Kind.INTEGER, 8),
    Field("operational_date", "Data", Kind.DATE, 11),
    Field("carrier", "Transportadora", width=20),
    Field("root_finding_id", "Achado raiz (id)", width=18, in_print=False),
    Field("incident_id", "Incidente (id)", width=18, in_print=False),
)


def finding_anchor(finding_id: str) -> str:
    """Id of a finding's row in the page."""
    return f"achado-{finding_id}"


def by_money(incidents: pd.DataFrame) -> pd.DataFrame:
    """The incidents, the one with the largest single amount first: the four are never added up."""
    largest = pd.Series([_largest(row) for row in records(incidents[list(AMOUNTS)])], index=incidents.index)
    order = incidents.assign(largest=largest.astype("float64"))
    order = order.sort_values(["largest", "incident_id"], ascending=[False, True], kind="stable")
    return order.drop(columns="largest")


def money_by_root(incidents: pd.DataFrame) -> dict[str, Decimal]:
    """root_finding_id → the largest single amount of its incident."""
    rows = records(incidents[["root_finding_id", *AMOUNTS]])
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["root_finding_id"]] = max(_largest(row), found.get(row["root_finding_id"], Decimal(0)))
    return found


def incidents_grid(frames: Frames) -> Grid:
    """The incidents that touch an amount, by R$."""
    carriers = names_of(frames.carriers, "carrier_code")
    return grid_of(INCIDENT_FIELDS, [_worded(row, carriers) for row in _by_money(frames)])


def short_incidents_grid(frames: Frames) -> Grid:
    """The same with one row for those of one rule and vehicle: one without a tariff filled three pages of a cycle."""
    carriers = names_of(frames.carriers, "carrier_code")
    merged = [_merged([_worded(row, carriers) for row in rows]) for rows in _alike(frames)]
    return grid_of(INCIDENT_FIELDS, sorted(merged, key=_largest, reverse=True))


def _by_money(frames: Frames) -> list[dict[str, Any]]:
    return records(by_money(incidents_with_amount(frames.incidents)))


def _alike(frames: Frames) -> list[list[dict[str, Any]]]:
    """The incidents of one rule and vehicle together, the largest first."""
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in _by_money(frames):
        alike.setdefault((row["root_rule_id"], row["carrier_code"], *row["plates"]), []).append(row)
    return list(alike.values())


def _worded(row: dict[str, Any], carriers: dict[str, str]) -> dict[str, Any]:
    return {
        **row,
        "cause": CAUSES[row["cause"]],
        "title": rule_title(row["root_rule_id"]),
        "plates": ", ".join(row["plates"]),
        "members": len(row["finding_ids"]),
        "carrier": carriers.get(row["carrier_code"], row["carrier_code"]),
    }


def _merged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row for several: their sums, first and last day, and each sentence as a further line."""
    if len(rows) == 1:
        return rows[0]
    first, last = (pick(row["operational_date"] for row in rows) for pick in (min, max))
    same_cause = len({row["cause"] for row in rows}) == 1
    return {
        **rows[0],
        "cause": rows[0]["cause"] if same_cause else "Várias",
        "sentence_pt": Folded(_of_largest(rows), (row["sentence_pt"] for row in rows)),
        "members": sum(row["members"] for row in rows),
        "operational_date": first if first == last else f"{day(first)} a {day(last)}",
        **{name: known_sum(row[name] for row in rows) for name in AMOUNTS},
    }


def _of_largest(rows: list[dict[str, Any]]) -> str:
    """The sentence of the first, and before it how many there are."""
    first = rows[0]["sentence_pt"]
    return str(first) if len(rows) == 1 else f"{number(len(rows), 0)} casos; o maior: {first}"


def highlights(frames: Frames, most: int = MOST_HIGHLIGHTS) -> tuple[Highlight, ...]:
    """What to look at first, by R$: incidents, those of one rule and vehicle together, and held runs per reason."""
    found = [_highlight(rows) for rows in _alike(frames)]
    found += _held_without_finding(frames)
    found.sort(key=lambda pair: (-pair[0], pair[1].sentence))
    return tuple(highlight for brl, highlight in found[:most] if brl > 0)


def amounts_text(row: dict[str, Any]) -> str:
    """`Glosa R$ 49,00 · Retido R$ 24,50`: the known amounts above zero, never added up."""
    return " · ".join(f"{label} {money(row[name])}" for name, label in AMOUNTS.items() if row[name])


def _highlight(rows: list[dict[str, Any]]) -> tuple[Decimal, Highlight]:
    """Incidents of one rule and vehicle, the largest first: their sums, and the sentence of the largest.

    A vehicle without a tariff had four of five places of a day, one for each trip.
    """
    first = rows[0]
    sums = {name: known_sum(row[name] for row in rows) for name in AMOUNTS}
    target = f"#{finding_anchor(first['root_finding_id'])}"
    return _largest(sums), Highlight(", ".join(first["plates"]), amounts_text(sums), _of_largest(rows), target)


def _held_without_finding(frames: Frames) -> list[tuple[Decimal, Highlight]]:
    """Runs that no finding holds because the gap is ours or the day is uncertain, per reason."""
    held = frames.findings["amount"] == "held_brl"  # D12 may name the same run, and holds nothing
    named = set(frames.findings.loc[held.fillna(False), "declared_run_id"].dropna())
    clocks = {plate for row in records(frames.incidents) if row["cause"] == "clock" for plate in row["plates"]}
    runs = frames.held_runs[~frames.held_runs["declared_run_id"].isin(named)]
    runs = runs[~((runs["reason"] == "clock") & runs["plate"].isin(clocks)) & (runs["reason"] != "phantom")]
    return [
        _held(str(reason), of_reason)
        for reason, of_reason in runs.groupby("reason")
        if of_reason["brl_at_rate"].notna().any()
    ]


def _held(reason: str, runs: pd.DataFrame) -> tuple[Decimal, Highlight]:
    brl = sum(runs["brl_at_rate"].dropna(), Decimal("0.00"))
    words = HELD_REASONS[reason]
    sentence = (
        f"{counted(len(runs), 'corrida declarada aguarda', 'corridas declaradas aguardam')} verificação: "
        f"{words[:1].lower()}{words[1:]}."
    )
    plates = sorted(set(runs["plate"]))
    shown = plates[0] if len(plates) == 1 else f"{len(plates)} veículos"
    return brl, Highlight(shown, f"{AMOUNTS['held_brl']} {money(brl)}", sentence, "#held")


def _largest(row: dict[str, Any]) -> Decimal:
    known: Sequence[Decimal] = [row[name] for name in AMOUNTS if row[name] is not None]
    return max(known, default=Decimal(0))
