"""The functions, triggers and redacting views of schema `auth`, as SQL that can be run again.

They look the user up and read what a profile may not read whole; who may call them is granted in `rights`.
Each is SECURITY DEFINER with a fixed search_path: it runs as the owner of the tables, whoever calls it.
"""

from __future__ import annotations

from fleet_audit.schema.rights import API_ROLE, REDACTED_VIEWS, scope_condition
from fleet_audit.storage.auth import disputes

MAX_FAILED_LOGINS = 5  # after that many in a row an account is locked: OWASP's authentication guide asks for a limit
LOCK_MINUTES = 15

_DEFINER = "security definer set search_path = pg_catalog, pg_temp"

# A login role of a BI tool is mapped to its user by its name: only the API and the owner may name another user.
_MAY_NAME_USERS = f"""(session_user = '{API_ROLE}' or pg_has_role(session_user,
      (select nspowner from pg_namespace where nspname = 'auth'), 'usage'))"""  # noqa: S608
_LOOKING_UP = f"""
create or replace function auth.user_id() returns text language sql stable {_DEFINER} as $$
  select case when {_MAY_NAME_USERS}
    then nullif(current_setting('app.user_id', true), '')
    else (select u.user_id from auth.users u where u.database_role = session_user) end
$$;
create or replace function auth.profile() returns text language sql stable {_DEFINER} as $$
  select u.profile from auth.users u where u.user_id = auth.user_id() and not u.is_disabled
$$;
create or replace function auth.granted(wanted text) returns setof auth.access language sql stable {_DEFINER} as $$
  select a.* from auth.access a join auth.users u on u.user_id = a.user_id
  where u.user_id = auth.user_id() and not u.is_disabled and u.profile = coalesce(wanted, u.profile)
$$;
create or replace function auth.sees_all(wanted text) returns boolean language sql stable {_DEFINER} as $$
  select coalesce(auth.profile() = 'auditor' and coalesce(wanted, 'auditor') = 'auditor', false)
    or exists (select from auth.granted(wanted) where carrier_code is null and unit_code is null)
$$;
create or replace function auth.whole_units(wanted text) returns text[] language sql stable {_DEFINER} as $$
  select array(select unit_code from auth.granted(wanted) where carrier_code is null and unit_code is not null)
$$;
create or replace function auth.whole_carriers(wanted text) returns text[] language sql stable {_DEFINER} as $$
  select array(select carrier_code from auth.granted(wanted) where carrier_code is not null and unit_code is null)
$$;
create or replace function auth.carriers_in_units(wanted text) returns text[] language sql stable {_DEFINER} as $$
  select array(select carrier_code || chr(31) || unit_code from auth.granted(wanted)
    where carrier_code is not null and unit_code is not null)
$$;
"""  # noqa: S608

_REDACTING = f"""
create or replace function auth.redacted(original text) returns text language plpgsql stable cost 10000 {_DEFINER} as $$
declare
  reader constant text := auth.profile();
  found text;
  result text := original;
begin
  if original is null or reader in ('auditor', 'finance') then
    return original;
  end if;
  if reader = 'operations' then
    result := regexp_replace(result, 'R\\$(\\s|\\u00a0)*[-−]?[0-9]([0-9.,]*[0-9])?', 'R$ [não exibido]', 'g');
  end if;
  for found in
    select distinct m[1] from regexp_matches(original, '\\m[A-Za-z]{{3}}[ .-]?[0-9][A-Za-z0-9][0-9]{{2}}\\M', 'g') m
    where not exists (select from ref.vehicles v
      where v.plate = upper(regexp_replace(m[1], '[^A-Za-z0-9]', '', 'g')) and auth.covers(v.carrier_code, v.unit_code))
  loop
    result := replace(result, found, '[outro veículo]');
  end loop;
  if reader is distinct from 'operations' then
    for found in
      select name from (select unnest(array[c.carrier_code, c.name]) as name from ref.carriers c
        where not exists (select from auth.granted(null) a
          where coalesce(a.carrier_code, c.carrier_code) = c.carrier_code)
      ) others where name <> '' order by length(name) desc
    loop
      result := regexp_replace(result, '\\m' || regexp_replace(found, '([^[:alnum:]_ ])', '\\\\\\1', 'g') || '\\M',
        '[outra transportadora]', 'gi');
    end loop;
  end if;
  return result;
end $$;
create or replace function auth.covers(carrier text, unit text) returns boolean language sql stable {_DEFINER} as $$
  select auth.sees_all(null) or exists (select from auth.granted(null) a
    where (a.carrier_code is null or a.carrier_code = carrier) and (a.unit_code is null or a.unit_code = unit))
$$;
create or replace function auth.is_own_evidence(evidence text) returns boolean
  language sql stable cost 10000 {_DEFINER} as $$
  select auth.redacted(evidence) = evidence and not exists (
    select from (select distinct m[1] as id from regexp_matches(evidence, '\\m[0-9a-f]{{16}}\\M', 'g') m) named
    where exists (select from fact.trips t
        where t.trip_id = id and not coalesce(auth.covers(t.carrier_code, t.unit_code), false))
      or exists (select from fact.declared_runs d
        where d.declared_run_id = id and not coalesce(auth.covers(d.carrier_code, d.unit_code), false)))
$$;
create or replace function auth.own_plates(plates text[]) returns text[] language sql stable cost 1000 {_DEFINER} as $$
  select array(select p from unnest(plates) with ordinality as given(p, place) where auth.sees_all(null) or exists (
    select from ref.vehicles v where v.plate = p and auth.covers(v.carrier_code, v.unit_code)) order by place)
$$;
create or replace function auth.own_findings(ids text[]) returns text[] language sql stable cost 1000 {_DEFINER} as $$
  select array(select i from unnest(ids) with ordinality as given(i, place) where exists (
    select from fact.findings f where f.finding_id = i and auth.covers(f.carrier_code, f.unit_code)) order by place)
$$;
"""  # noqa: S608

_SCOPE = scope_condition("null", has_carrier=True, has_unit=True)
_WHOLE = "(select auth.profile()) in ('auditor', 'finance')"
_FOUR = "paid_doubtful_brl, disallowed_brl, held_brl, in_favour_brl"
# The views belong to the owner of the tables, so that they read what they redact; their WHERE is the rows' policy.
_VIEWS = f"""
drop view if exists {", ".join(REDACTED_VIEWS)};
create view auth.findings with (security_barrier = true) as
select finding_id, operational_date, cycle_start, rule_id, rule_version, severity, plate, driver_id, carrier_code,
  unit_code, trip_id, declared_run_id, km_at_stake, brl_at_stake, brl_low, brl_high, {_FOUR}, amount, confidence,
  case when {_WHOLE} then evidence
    when (select auth.profile()) = 'carrier' and auth.is_own_evidence(evidence::text) then evidence end as evidence,
  coalesce(contest_status, status) as status, exception_id, auth.redacted(explanation_pt) as explanation_pt,
  (auth.own_findings(array[root_finding_id]))[1] as root_finding_id, run_id, updated_at,
  contest_id, contest_due_date, auth.contest_until(operational_date, unit_code) as contest_until
from fact.findings left join (select finding_id as contested_finding_id, contest_id, status as contest_status,
  due_date as contest_due_date from auth.contests) contested on contested_finding_id = finding_id
where {_SCOPE};
create view auth.incidents with (security_barrier = true) as
select incident_id, operational_date, cycle_start, cause, carrier_code, unit_code, auth.own_plates(plates) as plates,
  (auth.own_findings(array[root_finding_id]))[1] as root_finding_id, root_rule_id,
  auth.own_findings(finding_ids) as finding_ids, {_FOUR}, auth.redacted(sentence_pt) as sentence_pt,
  run_id, updated_at
from fact.incidents where {_SCOPE};
"""  # noqa: S608

_RECORDING = f"""
create or replace function auth.actor() returns text language sql stable {_DEFINER} as $$
  select coalesce(case when {_MAY_NAME_USERS} then nullif(current_setting('app.actor', true), '') end,
    (select login from auth.users where user_id = auth.user_id()), session_user)
$$;
create or replace function auth.record_change() returns trigger language plpgsql {_DEFINER} as $$
begin
  insert into auth.audit_log (actor, action, subject, before, after) values (auth.actor(),
    tg_table_name || ' ' || lower(tg_op), coalesce(to_jsonb(new), to_jsonb(old)) ->> coalesce(tg_argv[0], 'user_id'),
    to_jsonb(old) - 'password_hash', to_jsonb(new) - 'password_hash');
  return null;
end $$;
create or replace function auth.refuse_change() returns trigger language plpgsql {_DEFINER} as $$
begin
  raise exception 'The audit log is append-only: no entry is changed or removed.';
end $$;
create or replace trigger record_change after insert or update or delete on auth.users
  for each row execute function auth.record_change();
create or replace trigger record_change after insert or update or delete on auth.access
  for each row execute function auth.record_change();
create or replace trigger refuse_change before update or delete or truncate on auth.audit_log
  for each statement execute function auth.refuse_change();
"""  # noqa: S608

_SIGNING_IN = f"""
create or replace function auth.login_candidate(given text)
  returns table (user_id text, password_hash text, is_open boolean) language sql stable {_DEFINER} as $$
  select u.user_id, u.password_hash, not u.is_disabled and coalesce(u.locked_until <= clock_timestamp(), true)
  from auth.users u where u.login = lower(given)
$$;
create or replace function auth.record_login(given text, is_success boolean, address text) returns double precision
  language plpgsql {_DEFINER} as $$
begin
  insert into auth.audit_log (actor, action, subject, after) values (left(lower(given), 200),
    case when is_success then 'login' else 'login refused' end,
    (select u.user_id from auth.users u where u.login = lower(given)), jsonb_build_object('address', address));
  perform set_config('app.actor', 'login', true);
  if is_success then
    update auth.users u set failed_logins = 0, locked_until = null where u.login = lower(given) and u.failed_logins > 0;
  else
    update auth.users u
    set failed_logins = case when u.failed_logins + 1 >= {MAX_FAILED_LOGINS} then 0 else u.failed_logins + 1 end,
      locked_until = case when u.failed_logins + 1 >= {MAX_FAILED_LOGINS}
        then clock_timestamp() + interval '{LOCK_MINUTES} minutes' else u.locked_until end
    where u.login = lower(given) and coalesce(u.locked_until <= clock_timestamp(), true);
  end if;
  return extract(epoch from clock_timestamp());
end $$;
create or replace function auth.role_of(given text, issued_at double precision) returns text
  language sql stable {_DEFINER} as $$
  select 'fleet_' || u.profile from auth.users u
  where u.user_id = given and not u.is_disabled and extract(epoch from u.tokens_valid_from) <= issued_at
$$;
create or replace function auth.reveal_driver(wanted text, reason text) returns text language plpgsql {_DEFINER} as $$
begin
  if auth.profile() is distinct from 'auditor' or length(trim(reason)) < 10 then
    raise insufficient_privilege using message = 'A name is given to auditors, for a reason of 10 characters or more.';
  end if;
  insert into auth.audit_log (actor, action, subject, after)
    values (auth.actor(), 'driver revealed', wanted, jsonb_build_object('reason', reason));
  return (select d.name from ref.drivers d where d.driver_id = wanted);
end $$;
"""  # noqa: S608

DEFINITIONS = "".join((_LOOKING_UP, _REDACTING, _RECORDING, _SIGNING_IN, disputes.DEFINITIONS))
VIEWS = _VIEWS + disputes.VIEWS
FOR_READERS = (
    "profile()", "sees_all(text)", "whole_units(text)", "whole_carriers(text)", "carriers_in_units(text)",
    "redacted(text)", "is_own_evidence(text)", "own_plates(text[])", "own_findings(text[])",
    "user_id()", *disputes.FOR_READERS,
)  # fmt: skip
FOR_API = ("login_candidate(text)", "record_login(text, boolean, text)", "role_of(text, double precision)")
FOR_AUDITORS = ("reveal_driver(text, text)",)
