"""Who may read what: the columns and the rows of a relation that each profile reads, from the relation's column names.

Only the rules belong here, as names and SQL conditions; `storage.auth.rights` applies them to a database, and the read
API asks for the same columns. A relation that no rule describes is read by nobody but auditors and company-wide users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

PROFILES = ("operations", "finance", "auditor", "carrier", "admin")
READERS = ("operations", "finance", "auditor", "carrier")  # an admin reads users and grants, no data
RELATION_SCHEMAS = ("ref", "ops", "fact", "mart")
API_ROLE = "fleet_api"
REDACTED_VIEWS = (  # they choose their rows by their reader; their texts name nobody and no amount out of scope
    *("auth.findings", "auth.incidents", "fact.contests", "auth.attachments", "auth.notes"),
    *("auth.requested_exceptions", "auth.received_uploads", "auth.rule_outcomes"),
)
_LOG_READERS = {"auth.audit_log": ("auditor", "admin"), "auth.users": ("admin",)}
_VIEWS_OF_PAYER = frozenset({"auth.requested_exceptions"})

# Personal data and rows as received (which may name drivers): read through a function that logs the reason.
_READ_BY_NOBODY = {"ref.drivers": {"name"}, "ops.rejected_rows": {"raw"}}
_WITH_AMOUNTS = {"fact.review_samples": {"note"}, "ref.sample_reviews": {"note"}}  # free texts that may name reais
# Sentences and documents that may name amounts and other carriers; `auth.findings` and `auth.incidents` redact them.
_TEXTS = frozenset({"explanation_pt", "evidence", "sentence_pt"})
# What may hold another carrier's name, plate or ids in a row of one's own.
_OF_OTHERS = frozenset({"plates", "finding_ids", "root_finding_id", "reason", "area_reason", "cost_reason"})
_OF_OTHERS_IN = {
    "fact.held_runs": frozenset({"reason"}),
    "fact.calibration_segments": frozenset({"reason"}),
    "fact.adjustments": frozenset({"reason"}),
}  # codes and fixed sentences
_AUDITOR_ONLY = frozenset({"ops.reference_history", "ops.reference_changes"})
# the sample for review is the payer's own control: a carrier would know which trips are reviewed, and by whom
_NOT_FOR_CARRIERS = frozenset(
    {
        *("ref.pois", "ref.routes", "ref.drivers", "ref.parameters", "ops.parameter_versions"),
        *("ref.sample_reviews", "fact.review_samples", "fact.review_estimates"),
    }
)

_LINKED = {
    "fact.trip_costs": "exists (select from fact.trips t where t.trip_id = {relation}.trip_id)",
    "fact.trip_scores": "exists (select from fact.trips t where t.trip_id = {relation}.trip_id)",
    "fact.held_runs": "exists (select from fact.declared_runs d where d.declared_run_id = {relation}.declared_run_id)",
    **dict.fromkeys(
        ("fact.fixed_cost_days", "ref.fixed_costs", "ref.invoices", "ref.tariffs"),
        "exists (select from ref.contracts c where c.contract_id = {relation}.contract_id)",
    ),
    "ref.units": "exists (select from ref.vehicles v where v.unit_code = {relation}.unit_code)",
    "ref.carriers": "exists (select from ref.vehicles v where v.carrier_code = {relation}.carrier_code)",
    **dict.fromkeys(
        ("ref.calendar", "ref.shifts", "ref.pois", "ref.routes"),
        "exists (select from ref.units u where u.unit_code = {relation}.unit_code)",
    ),
    # a vehicle or device may have served another carrier at another time
    "ref.devices": "exists (select from ref.vehicles v where v.plate = {relation}.plate"
    " and coalesce(v.valid_from, '-infinity') <= coalesce({relation}.valid_to, 'infinity')"
    " and coalesce(v.valid_to, 'infinity') >= coalesce({relation}.valid_from, '-infinity'))",
    "ref.km_plan": "exists (select from ref.vehicles v where v.plate = {relation}.plate"
    " and coalesce(v.valid_from, '-infinity') < {relation}.cycle_start + interval '1 month'"
    " and coalesce(v.valid_to, 'infinity') >= {relation}.cycle_start)",
    **dict.fromkeys(
        ("ops.computed_days", "ref.parameters", "ops.parameter_versions"), "(select auth.profile()) = '{profile}'"
    ),
}


def role_of(profile: str) -> str:
    """The PostgreSQL role of a profile."""
    return f"fleet_{profile}"


def is_amount(column: str) -> bool:
    """Whether a column holds reais: the unit is part of every name."""
    return "brl" in column.split("_") or column in ("paid_doubtful_pct", "disallowed_pct")


def readable_columns(profile: str, relation: str, columns: Iterable[str]) -> list[str]:
    """The columns of a table that a profile reads, in their order; empty when it reads none of its rows."""
    if relation in _LOG_READERS:
        return [name for name in columns if profile in _LOG_READERS[relation] and name != "password_hash"]
    if relation in REDACTED_VIEWS:
        if profile not in READERS or (profile == "carrier" and relation in _VIEWS_OF_PAYER):
            return []
        return [name for name in columns if profile != "operations" or not (is_amount(name) or name == "evidence")]
    names = [name for name in columns if name not in _READ_BY_NOBODY.get(relation, ())]
    if row_condition(profile, relation, names) is None:
        return []
    if profile == "operations":
        hidden = _TEXTS | _WITH_AMOUNTS.get(relation, set())
        return [name for name in names if not is_amount(name) and name not in hidden]
    if profile == "carrier":
        hidden = _TEXTS | (_OF_OTHERS - _OF_OTHERS_IN.get(relation, frozenset()))
        return [name for name in names if name not in hidden]
    return names


def row_condition(profile: str, relation: str, columns: Collection[str]) -> str | None:
    """The SQL condition under which a profile reads a row of a table, None when it reads no row.

    The user is looked up once per statement, in `(select …)`, and not once per row.
    """
    if profile not in READERS or (profile != "auditor" and relation in _AUDITOR_ONLY):
        return None
    if profile == "auditor":
        without_names = " and table_name <> 'drivers'" if relation in _AUDITOR_ONLY else ""
        return f"(select auth.sees_all('auditor')){without_names}"
    has_carrier = "carrier_code" in columns
    if profile == "carrier" and (relation in _NOT_FOR_CARRIERS or not (has_carrier or relation in _LINKED)):
        return None
    if relation in _LINKED:
        linked = _LINKED[relation].format(relation=relation, profile=profile)
        return linked if profile == "carrier" else f"(select auth.sees_all('{profile}')) or {linked}"
    return scope_condition(f"'{profile}'", has_carrier=has_carrier, has_unit="unit_code" in columns)


def scope_condition(profile: str, *, has_carrier: bool, has_unit: bool) -> str:
    """Whether a row lies in the user's scope; `profile` is an SQL expression, null for a user of any profile.

    A row of an unknown carrier or unit is read only by who reads all carriers or units.
    """
    parts = [f"(select auth.sees_all({profile}))"]
    if has_unit:
        parts.append(f"unit_code = any((select auth.whole_units({profile}))::text[])")
    if has_carrier:
        parts.append(f"carrier_code = any((select auth.whole_carriers({profile}))::text[])")
    if has_unit and has_carrier:
        parts.append(f"carrier_code || chr(31) || unit_code = any((select auth.carriers_in_units({profile}))::text[])")
    return " or ".join(parts)
