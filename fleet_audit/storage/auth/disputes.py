"""The functions and views of what users do: contests, notes, exceptions, uploads, as SQL that can be run again.

Each function checks profile and scope itself, whoever calls it, and its tables are granted to nobody; the triggers of
`functions` record every change. An error with SQLSTATE FAnnn is the HTTP status nnn, its DETAIL a stable name.
"""

from __future__ import annotations

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.schema.rights import API_ROLE, scope_condition

MIN_TEXT, MAX_TEXT = 10, 10_000  # characters
MAX_UPLOADS_PER_HOUR = 100
_DEFINER = "security definer set search_path = pg_catalog, pg_temp"
_TABLES = {  # table of auth -> its key
    "contests": "contest_id",
    "contest_files": "file_id",
    "finding_notes": "note_id",
    "exceptions": "exception_id",
    "uploads": "upload_id",
}

_CHECKS = f"""
create or replace function auth.refuse(status text, name text, sentence text) returns void
  language plpgsql {_DEFINER} as $$
begin
  raise exception using errcode = 'FA' || status, message = sentence, detail = name;
end $$;
create or replace function auth.own_login() returns text language sql stable {_DEFINER} as $$
  select login from auth.users where user_id = auth.user_id()
$$;
create or replace function auth.acting_login(profiles text[]) returns text language plpgsql stable {_DEFINER} as $$
begin
  if auth.profile() is null or auth.profile() <> all(profiles) then
    perform auth.refuse('403', 'profile', 'Your profile does not do this.');
  end if;
  return auth.own_login();
end $$;
create or replace function auth.require_text(given text) returns text language plpgsql {_DEFINER} as $$
begin
  if length(trim(coalesce(given, ''))) not between {MIN_TEXT} and {MAX_TEXT} then
    perform auth.refuse('422', 'text',
      'The text has fewer than {MIN_TEXT} or more than {MAX_TEXT} characters: give reasons.');
  end if;
  return trim(given);
end $$;
create or replace function auth.require_api() returns void language plpgsql {_DEFINER} as $$
begin
  if session_user <> '{API_ROLE}' and not pg_has_role(session_user,
      (select nspowner from pg_namespace where nspname = 'auth'), 'usage') then
    perform auth.refuse('403', 'profile', 'Only the read API records files.');
  end if;
end $$;
create or replace function auth.local_date(at timestamptz, unit text) returns date language sql stable {_DEFINER} as $$
  select (at at time zone coalesce((select timezone from ref.units where unit_code = unit), '{PARTITION_ZONE}'))::date
$$;
create or replace function auth.business_deadline(published date, unit text, cycle_day date) returns date
  language sql stable {_DEFINER} as $$
  with allowed as (select coalesce((select value from ref.parameters where name = 'contest_business_days'
      and coalesce(valid_from, cycle_day) <= cycle_day and coalesce(valid_to, cycle_day) >= cycle_day limit 1),
    {DEFAULT_PARAMETERS.contest_business_days})::integer as days)
  select case when days = 0 then published else (
    select day::date from generate_series(published + 1, published + 3 * days + 100, interval '1 day') day
    where extract(isodow from day) < 6 and not exists (select from ref.calendar c
      where c.date = day::date and c.unit_code = unit and c.day_type = 'feriado')
    order by day offset days - 1 limit 1) end
  from allowed
$$;
create or replace function auth.contest_until(day date, unit text) returns date language sql stable cost 1000
  {_DEFINER} as $$
  select auth.business_deadline(auth.local_date(closed_at, unit), unit, cycle_end) from ops.cycle_closes
  where status = 'final' and day between cycle_start and cycle_end limit 1
$$;
"""  # noqa: S608

_CONTESTS = f"""
create or replace function auth.scoped_finding(wanted text) returns fact.findings
  language plpgsql stable {_DEFINER} as $$
declare found_row fact.findings;
begin
  select f.* into found_row from fact.findings f
    where f.finding_id = wanted and auth.covers(f.carrier_code, f.unit_code);
  if found_row.finding_id is null then
    perform auth.refuse('404', 'unknown', 'No row of findings has this id.');
  end if;
  return found_row;
end $$;
create or replace function auth.scoped_contest(wanted text) returns auth.contests
  language plpgsql {_DEFINER} as $$
declare found_row auth.contests;
begin
  select c.* into found_row from auth.contests c
    where c.contest_id = wanted and auth.covers(c.carrier_code, c.unit_code) for update;
  if found_row.contest_id is null then
    perform auth.refuse('404', 'unknown', 'No row of contests has this id.');
  end if;
  return found_row;
end $$;
create or replace function auth.contest_finding(wanted text, reasons text) returns text
  language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{carrier,finance}}');
  f constant fact.findings := auth.scoped_finding(wanted);
  today constant date := auth.local_date(clock_timestamp(), f.unit_code);
  made text;
begin
  if f.status = 'excepted' then
    perform auth.refuse('409', 'excepted', 'An approved exception covers this finding: nothing is left to contest.');
  elsif auth.contest_until(f.operational_date, f.unit_code) < today then
    perform auth.refuse('409', 'late', 'The cycle of this finding is closed, and its deadline for contests is over.');
  end if;
  insert into auth.contests (finding_id, operational_date, rule_id, plate, carrier_code, unit_code, trip_id,
      declared_run_id, brl_at_stake, amount, status, due_date, opened_by, text)
    values (f.finding_id, f.operational_date, f.rule_id, f.plate, f.carrier_code, f.unit_code, f.trip_id,
      f.declared_run_id, f.brl_at_stake, f.amount, 'contested',
      auth.business_deadline(today, f.unit_code, f.operational_date), person, auth.require_text(reasons))
    on conflict (finding_id) do nothing returning contest_id into made;
  if made is null then
    perform auth.refuse('409', 'contested', 'This finding is contested already: add a note or a file to its contest.');
  end if;
  return made;
end $$;
create or replace function auth.decide_contest(wanted text, decision text, reasons text) returns void
  language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{finance,auditor}}');
  c constant auth.contests := auth.scoped_contest(wanted);
begin
  if decision is null or decision not in ('upheld', 'reversed') then
    perform auth.refuse('422', 'decision', 'A decision is upheld (the finding stands) or reversed (it was wrong).');
  elsif c.status <> 'contested' then
    perform auth.refuse('409', 'decided', 'This contest is decided, and a decision is not changed.');
  elsif c.opened_by = person then
    perform auth.refuse('409', 'same_person', 'Who contested does not decide: another person does.');
  end if;
  update auth.contests set status = decision, decided_at = clock_timestamp(), decided_by = person,
    decision_text = auth.require_text(reasons) where contest_id = wanted;
end $$;
create or replace function auth.attach_contest_file(wanted text, name text, sha256 text, size bigint) returns text
  language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{carrier,finance,auditor}}');
  c constant auth.contests := auth.scoped_contest(wanted);
  place constant text := 'contests/' || c.contest_id || '/' || sha256;
begin
  perform auth.require_api();
  if c.status <> 'contested' then
    perform auth.refuse('409', 'decided', 'This contest is decided: no file is added any more.');
  elsif (select count(*) from auth.contest_files f where f.contest_id = wanted) >= 20 then
    perform auth.refuse('409', 'many_files', 'This contest has 20 files, the most that one takes.');
  end if;
  insert into auth.contest_files (contest_id, carrier_code, unit_code, file_name, file_sha256, size_bytes, path,
      added_by) values (wanted, c.carrier_code, c.unit_code, name, sha256, size, place, person)
    on conflict (contest_id, file_sha256) do nothing;
  return place;
end $$;
create or replace function auth.annotate_finding(wanted text, note text, internal boolean) returns text
  language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{operations,finance,auditor,carrier}}');
  f constant fact.findings := auth.scoped_finding(wanted);
  made text;
begin
  insert into auth.finding_notes (finding_id, operational_date, carrier_code, unit_code, written_by, text, is_internal)
    values (f.finding_id, f.operational_date, f.carrier_code, f.unit_code, person, auth.require_text(note),
      internal and auth.profile() <> 'carrier') returning note_id into made;
  return made;
end $$;
"""  # noqa: S608

_EXCEPTIONS = f"""
create or replace function auth.request_exception(rule text, vehicle text, carrier text, unit text, route text,
  first_day date, last_day date, why text) returns text language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{operations,finance,auditor}}');
  made text;
begin
  if not auth.covers(carrier, unit) or (vehicle is not null and not exists (select from ref.vehicles v
      where v.plate = vehicle and auth.covers(v.carrier_code, v.unit_code)
        and v.carrier_code = coalesce(carrier, v.carrier_code) and v.unit_code = coalesce(unit, v.unit_code))) then
    perform auth.refuse('422', 'scope', 'Name a carrier, unit and vehicle of yours: an exception reaches no further.');
  elsif last_day is null or first_day > last_day then
    perform auth.refuse('422', 'dates', 'An exception has an end: give date_to, and date_from not after it.');
  elsif coalesce(rule, vehicle, carrier, unit, route) is null then
    perform auth.refuse('422', 'scope', 'The exception covers everything: name a rule, vehicle, carrier or unit.');
  end if;
  insert into auth.exceptions (rule_id, plate, carrier_code, unit_code, route_code, date_from, date_to, reason,
      status, requested_by)
    values (rule, vehicle, carrier, unit, route, first_day, last_day, auth.require_text(why), 'requested', person)
    returning exception_id into made;
  return made;
end $$;
create or replace function auth.decide_exception(wanted text, is_approved boolean) returns void
  language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{finance,auditor}}');
  e auth.exceptions;
begin
  perform pg_advisory_xact_lock(hashtext('auth.decide_exception'));  -- each file has all that were approved before it
  perform auth.require_api();
  select x.* into e from auth.exceptions x
    where x.exception_id = wanted and auth.covers(x.carrier_code, x.unit_code) for update;
  if e.exception_id is null then
    perform auth.refuse('404', 'unknown', 'No row of exceptions has this id.');
  elsif e.status = 'approved' and is_approved then
    return;  -- again: its file is put into the inbox once more
  elsif e.status <> 'requested' then
    perform auth.refuse('409', 'decided', 'This exception is decided, and a decision is not changed.');
  elsif e.requested_by = person then
    perform auth.refuse('409', 'same_person', 'Who requested it does not approve it: another person does.');
  end if;
  update auth.exceptions set status = case when is_approved then 'approved' else 'refused' end,
    decided_at = clock_timestamp(), decided_by = person where exception_id = wanted;
end $$;
create or replace function auth.exceptions_in_force() returns setof ref.exceptions
  language plpgsql stable {_DEFINER} as $$
begin
  perform auth.require_api();
  perform auth.acting_login('{{finance,auditor}}');  -- who may approve one
  return query select r.* from ref.exceptions r
      where not exists (select from auth.exceptions x
        where x.exception_id = r.exception_id and x.status = 'approved')
    union all select x.exception_id, x.rule_id, x.plate, x.carrier_code, x.unit_code, x.route_code, x.date_from,
      x.date_to, x.reason, x.decided_by from auth.exceptions x where x.status = 'approved' order by 1;
end $$;
"""  # noqa: S608

_UPLOADS = f"""
create or replace function auth.uploads_left() returns bigint language sql stable {_DEFINER} as $$
  select {MAX_UPLOADS_PER_HOUR} - count(*) from auth.uploads
  where user_id = auth.user_id() and uploaded_at > clock_timestamp() - interval '1 hour'
$$;
create or replace function auth.record_upload(given jsonb) returns text language plpgsql {_DEFINER} as $$
declare
  person constant text := auth.acting_login('{{operations,finance,auditor,carrier}}');
  made constant text := gen_random_uuid()::text;
begin
  perform auth.require_api();
  insert into auth.uploads select r.* from jsonb_populate_record(null::auth.uploads, given || jsonb_build_object(
    'upload_id', made, 'user_id', auth.user_id(), 'uploaded_by', person, 'uploaded_at', clock_timestamp(),
    'inbox_name', replace(given ->> 'inbox_name', '<user>', auth.user_id()),
    'report_path', case when (given ->> 'has_report')::boolean then 'uploads/' || made || '/rejections.csv' end)) r;
  return made;
end $$;
"""  # noqa: S608

_SCOPE = scope_condition("null", has_carrier=True, has_unit=True)
VIEWS = f"""
create view fact.contests with (security_barrier = true) as
select contest_id, finding_id, status, opened_at, due_date, opened_by, auth.redacted(text) as text, decided_at,
  decided_by, auth.redacted(decision_text) as decision_text, operational_date, rule_id, plate, carrier_code, unit_code,
  trip_id, declared_run_id, brl_at_stake, amount
from auth.contests where {_SCOPE};
create view auth.attachments with (security_barrier = true) as
select file_id, contest_id, carrier_code, unit_code, file_name, file_sha256, size_bytes, added_at, added_by
from auth.contest_files where {_SCOPE};
create view auth.notes with (security_barrier = true) as
select note_id, finding_id, operational_date, carrier_code, unit_code, written_at, written_by,
  auth.redacted(text) as text, is_internal
from auth.finding_notes
where (not is_internal or (select auth.profile()) <> 'carrier') and ({_SCOPE});
create view auth.requested_exceptions with (security_barrier = true) as
select exception_id, rule_id, plate, carrier_code, unit_code, route_code, date_from, date_to,
  auth.redacted(reason) as reason, status, requested_at, requested_by, decided_at, decided_by
from auth.exceptions where (select auth.profile()) <> 'carrier' and ({_SCOPE});
create view auth.received_uploads with (security_barrier = true) as
select upload_id, uploaded_at, uploaded_by, kind, file_name, file_sha256, size_bytes, status, reason_code, message,
  rows_read, rows_accepted, rows_rejected, inbox_name, report_path
from auth.uploads where user_id = (select auth.user_id()) or (select auth.sees_all(null));
create view auth.rule_outcomes with (security_barrier = true) as
select rule_id, count(*) as contests, count(*) filter (where status = 'upheld') as upheld,
  count(*) filter (where status = 'reversed') as reversed,
  round(100.0 * count(*) filter (where status = 'upheld') / nullif(count(*) filter (where status <> 'contested'), 0), 2)
    as upheld_pct
from auth.contests where {_SCOPE} group by rule_id;
"""  # noqa: S608

_TRIGGERS = "".join(
    f"create or replace trigger record_change after insert or update or delete on auth.{table} "
    f"for each row execute function auth.record_change('{key}');\n"
    for table, key in _TABLES.items()
)
DEFINITIONS = "".join((_CHECKS, _CONTESTS, _EXCEPTIONS, _UPLOADS, _TRIGGERS))
FOR_READERS = (
    "contest_finding(text, text)", "annotate_finding(text, text, boolean)", "record_upload(jsonb)", "uploads_left()",
    "attach_contest_file(text, text, text, bigint)", "decide_contest(text, text, text)",
    "request_exception(text, text, text, text, text, date, date, text)", "decide_exception(text, boolean)",
    "exceptions_in_force()", "own_login()", "contest_until(date, text)",
)  # fmt: skip
