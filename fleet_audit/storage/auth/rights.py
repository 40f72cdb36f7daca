"""Applies rights to a database: roles, functions, row policies and column grants, in the caller's transaction.

Which profile reads what is in `schema.rights`. Rights are applied after migrations, and to a mart in the transaction
that publishes it: a table that is dropped takes its policies along, and one that comes back with grants alone would
show every row to everyone.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from fleet_audit.schema import rights
from fleet_audit.schema.rights import API_ROLE, READERS, REDACTED_VIEWS, RELATION_SCHEMAS, readable_columns, role_of
from fleet_audit.storage.auth import functions

ROLES = tuple(role_of(profile) for profile in rights.PROFILES)
ROLES_SQL = "\n".join(
    [
        *(f"create role {role} nologin;" for role in ROLES),
        f"create role {API_ROLE} login noinherit;",
        f"grant {', '.join(ROLES)} to {API_ROLE};",
    ]
)
# a server whose administrator took this right from public, as deploy/create-databases.sql does, admits nobody else
_CONNECT = "do $$ begin execute format('grant connect on database %I to {roles}', current_database()); end $$;"
_CREATE_ROLE = """do $$ begin create role {role} {options}; exception
  when duplicate_object or unique_violation or insufficient_privilege then null; end $$;"""
# roles that an administrator made are granted by that administrator alone, as ROLES_SQL does
_GRANT_ROLES = f"""do $$ begin grant {", ".join(ROLES)} to {API_ROLE};
  exception when insufficient_privilege then null; end $$;"""
# an admin reads what happened to users, and nothing of contests or uploads, whose entries hold data
_LOG_POLICY = """alter table auth.audit_log enable row level security; drop policy if exists {0} on auth.audit_log;
create policy {0} on auth.audit_log for select to {0} using ({1});"""
_OF_USERS = "split_part(action, ' ', 1) in ('users', 'access', 'login', 'driver')"
_RELATIONS = """
select c.oid, n.nspname || '.' || c.relname as name, c.relkind::text as kind,
  array(select attname::text from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped
    order by attnum) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm') and c.relname <> 'alembic_version'
  and case when :names then n.nspname || '.' || c.relname = any(:relations) else n.nspname = any(:relations) end
order by c.relkind not in ('r', 'p'), c.oid"""
# A view runs with its reader's rights: it is granted to those who may read every column that it reads, at any depth.
_READABLE_VIEW = """
with recursive read as (
  select cast(:view as oid) as relation union
  select d.refobjid from read join pg_rewrite r on r.ev_class = read.relation
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
  where d.refobjid <> read.relation)
select not exists (
  select from read join pg_rewrite r on r.ev_class = read.relation
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
  join pg_class c on c.oid = d.refobjid and c.relkind <> 'v'
  where c.oid <> read.relation and case when d.refobjsubid > 0
    then not has_column_privilege(:role, c.oid, d.refobjsubid::smallint, 'select')
    else not has_any_column_privilege(:role, c.oid, 'select') end)"""


def digest() -> str:
    """Changes when the rules, the functions or this module do: rights are then applied again."""
    here = Path(__file__).read_text(encoding="utf-8")
    texts = (inspect.getsource(rights), here, functions.DEFINITIONS, functions.VIEWS)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def missing_roles(connection: sa.Connection) -> list[str]:
    """The roles that the cluster lacks, in the order of ROLES_SQL."""
    found = set(connection.scalars(sa.text("select rolname from pg_roles where rolname like 'fleet\\_%'")))
    return [role for role in (*ROLES, API_ROLE) if role not in found]


def apply_all(connection: sa.Connection) -> None:
    """Creates the roles if the pipeline's role may, and sets functions, policies and grants of every relation.

    Without the right to create roles, those that exist are served; nobody else can read anything then.
    """
    create_roles(connection)
    _run(connection, functions.DEFINITIONS + functions.VIEWS)
    _run(connection, "".join(_schema_grants(_existing(connection))))
    _apply(connection, RELATION_SCHEMAS, are_names=False)


def apply_to(connection: sa.Connection, relations: Sequence[str]) -> None:
    """Sets the policies and grants of `schema.name`s that were just created; relations that do not exist are skipped.

    A database without schema `auth` has no users yet: its next migration applies all rights.
    """
    if connection.scalar(sa.text("select to_regnamespace('auth') is not null")):
        _apply(connection, relations, are_names=True)


def create_roles(connection: sa.Connection) -> None:
    """Creates the roles that are missing, where the connecting role may.

    Roles belong to the whole cluster, where another database may create them at the same moment.
    """
    missing = missing_roles(connection)
    for role in missing:
        options = "login noinherit" if role == API_ROLE else "nologin"
        _run(connection, _CREATE_ROLE.format(role=role, options=options))
    if missing and not missing_roles(connection):
        _run(connection, _GRANT_ROLES)


def _existing(connection: sa.Connection) -> set[str]:
    return {*ROLES, API_ROLE} - set(missing_roles(connection))


def _readers(roles: set[str]) -> list[tuple[str, str]]:
    """The reading profiles whose role exists, with the role."""
    return [(profile, role) for profile in READERS if (role := role_of(profile)) in roles]


def _schema_grants(roles: set[str]) -> Iterator[str]:
    if roles:
        yield _CONNECT.format(roles=", ".join(sorted(roles)))
    yield "revoke all on schema auth from public; revoke all on all functions in schema auth from public;"
    yield "revoke all on all tables in schema auth from public;"
    for role in sorted(roles):
        yield f"revoke all on all tables in schema auth from {role}; grant usage on schema auth to {role};"
        yield f"revoke all on all functions in schema auth from {role};"
    readers = ", ".join(sorted(role for _, role in _readers(roles)))
    if readers:
        yield f"grant usage on schema {', '.join(RELATION_SCHEMAS)} to {readers};"
        yield "".join(f"grant execute on function auth.{one} to {readers};" for one in functions.FOR_READERS)
    if "fleet_auditor" in roles:
        yield "".join(f"grant execute on function auth.{one} to fleet_auditor;" for one in functions.FOR_AUDITORS)
        yield "grant select on auth.audit_log to fleet_auditor;" + _LOG_POLICY.format("fleet_auditor", "true")
    if "fleet_admin" in roles:
        yield "grant select on auth.audit_log, auth.access to fleet_admin; grant select (user_id, login, profile, "
        yield "database_role, is_disabled, failed_logins, locked_until, tokens_valid_from, created_at) on auth.users"
        yield " to fleet_admin;" + _LOG_POLICY.format("fleet_admin", _OF_USERS)
    if API_ROLE in roles:
        yield "".join(f"grant execute on function auth.{one} to {API_ROLE};" for one in functions.FOR_API)


def _apply(connection: sa.Connection, relations: Sequence[str], *, are_names: bool) -> None:
    roles = _existing(connection)
    found = connection.execute(sa.text(_RELATIONS), {"names": are_names, "relations": list(relations)}).all()
    if not are_names:
        query = sa.text(_RELATIONS)
        found = [*found, *connection.execute(query, {"names": True, "relations": list(REDACTED_VIEWS)}).all()]
    tables = [row for row in found if row.kind != "v" or row.name in REDACTED_VIEWS]
    _run(connection, "".join(part for row in tables for part in _table_rights(row.name, row.kind, row.columns, roles)))
    for row in found:
        if row.kind == "v" and row.name not in REDACTED_VIEWS:
            _run(connection, "".join(_view_rights(connection, row.oid, row.name, roles)))


def _table_rights(name: str, kind: str, columns: Sequence[str], roles: set[str]) -> Iterator[str]:
    if kind in ("r", "p"):
        yield f"alter table {name} enable row level security;"
    for profile, role in _readers(roles):
        yield f"revoke all on {name} from {role};"
        condition = rights.row_condition(profile, name, columns)
        names = readable_columns(profile, name, columns)
        if kind in ("r", "p"):
            yield f"drop policy if exists {role} on {name};"
            if condition:
                yield f"create policy {role} on {name} for select to {role} using ({condition});"
        elif kind == "m" and profile != "auditor":  # PostgreSQL has no row policies on materialized views
            continue
        if names:
            yield f"grant select ({', '.join(names)}) on {name} to {role};"


def _view_rights(connection: sa.Connection, oid: int, name: str, roles: set[str]) -> Iterator[str]:
    yield f"alter view {name} set (security_invoker = true);"
    for _, role in _readers(roles):
        yield f"revoke all on {name} from {role};"
        if connection.scalar(sa.text(_READABLE_VIEW), {"view": oid, "role": role}):
            yield f"grant select on {name} to {role};"


def _run(connection: sa.Connection, sql: str) -> None:
    if sql:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
