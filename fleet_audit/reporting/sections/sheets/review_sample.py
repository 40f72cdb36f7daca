"""The sample of a cycle's trips for a review by hand: the list to fill in, and what the reviewed trips say.

The sample is drawn in `logic.audit.review_samples`.
"""

from __future__ import annotations

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import NO_CARRIER
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("trip_date", "Data", Kind.DATE, 11),
    Field("carrier", "Transportadora", width=22),
    Field("plate", "Placa", width=9),
    Field("billable_km", "Km admitidos", Kind.KM, 11),
    Field("rate_brl_per_km", "Tarifa (R$/km)", Kind.RATE, 9),
    Field("paid_brl", "Variável (R$)", Kind.BRL, 11),
    Field("certain", "Sempre na amostra", width=10),
    Field("audited_km", "Km revisados", Kind.KM, 11),
    Field("audited_brl", "Valor revisado (R$)", Kind.BRL, 11),
    Field("error_brl", "Pago a maior (R$)", Kind.BRL, 11),
    Field("reviewer", "Revisor", width=16),
    Field("note", "Observação", width=40),
)
_HOW = (
    "Amostragem por unidade monetária: cada centavo pago tem a mesma chance de ser escolhido. "
    "O resultado da revisão volta em reference/sample_reviews.csv ("
    "cycle_start, trip_id, audited_km ou audited_brl, reviewer, note)."
)


def review_sample_grid(frames: Frames) -> Grid:
    """One row per trip of the sample, by day and vehicle."""
    carriers = names_of(frames.carriers, "carrier_code")
    rows = records(frames.review_samples)
    return grid_of(
        FIELDS,
        [
            {
                **row,
                "carrier": carriers.get(row["carrier_code"], row["carrier_code"]) or NO_CARRIER,
                "certain": "sim" if row["is_certain"] else "não",
            }
            for row in rows
        ],
    )


def review_sample_note(frames: Frames) -> str:
    """How the sample was drawn, how much of it is reviewed, and what that says of the cycle."""
    if frames.review_estimates.empty:
        return _HOW
    (row,) = records(frames.review_estimates)
    confidence = locale.number(row["confidence_pct"], 1)
    drawn = (
        f"Intervalo de {locale.money(row['interval_brl'])}, para um pagamento a maior tolerado de "
        f"{locale.money(row['materiality_brl'])} com {confidence} % de confiança. "
        f"Revisadas: {locale.number(row['reviewed_trips'], 0)} de "
        f"{locale.counted(row['sampled_trips'], 'viagem', 'viagens')}."
    )
    if row["upper_limit_brl"] is None:
        return f"{_HOW} {drawn} O erro do ciclo só é estimado com a amostra inteira revisada."
    verdict = "dentro do tolerado" if row["is_tolerated"] else "acima do tolerado"
    return (
        f"{_HOW} {drawn} Erro projetado: {locale.money(row['overpaid_brl'])} pagos a maior e "
        f"{locale.money(row['underpaid_brl'])} a menor; limite superior do pago a maior: "
        f"{locale.money(row['upper_limit_brl'])}, {verdict}."
    )
