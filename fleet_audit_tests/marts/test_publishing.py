"""Publishing to a real PostgreSQL: days are replaced whole, shapes follow the files, readers never see half."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import Days
from fleet_audit.marts.project import FOLDER, load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.marts.testing import failures, failures_by_test
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.marts.conftest import DAY, NEXT


def _changed(tmp_path, old: str, new: str):
    """The project with another expression in vehicle_days' SELECT."""
    folder = shutil.copytree(FOLDER, tmp_path / "models")
    path = folder / "marts/vehicle_days.sql"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_project(folder)


_KINDS_OF_MARTS = (
    "select relname, relkind from pg_class where relnamespace = 'mart'::regnamespace and relkind in ('r', 'v')"
)


def _all(query, table: str = "vehicle_days"):
    return query(f"select * from mart.{table} order by 1")


def test_a_range_and_its_single_days_leave_the_same_rows(sample, run, query):
    run(DAY, NEXT)
    tables = ("d1_trips", "vehicle_days", "carrier_days")
    together = [_all(query, table) for table in tables]
    query("truncate mart.d1_trips, mart.vehicle_days, mart.carrier_days")
    run(DAY)
    run(NEXT)
    run(NEXT)
    assert [_all(query, table) for table in tables] == together
    assert len(together[0]) == 3


def test_a_run_touches_its_days_and_the_one_before_only(sample, fill, run, query):
    run(DAY, NEXT)
    query("update mart.vehicle_days set fleet_number = 'kept'")
    run(NEXT + dt.timedelta(days=1))
    assert {row["operational_date"]: row["fleet_number"] for row in _all(query)} == {DAY: "kept", NEXT: None}


def test_a_day_that_became_empty_is_emptied(sample, run, query):
    run(DAY, NEXT)
    query("delete from fact.trips")
    run(DAY, NEXT)
    assert _all(query, "d1_trips") == []


def test_what_was_published_is_counted_day_by_day(sample, postgres_url, project):
    for name in ("stg_vehicles", "stg_places", "stg_trips", "stg_findings"):
        publish(postgres_url, project, project.model(name), Days(DAY, NEXT))
    later = NEXT + dt.timedelta(days=1)
    first = publish(postgres_url, project, project.model("d1_trips"), Days(DAY, later))
    assert (first.rows_by_day, first.rows, first.is_rebuilt) == ({DAY: 2, NEXT: 1, later: 0}, 3, True)
    assert not publish(postgres_url, project, project.model("d1_trips"), Days(DAY, later)).is_rebuilt
    assert publish(postgres_url, project, project.model("stg_vehicles"), None).rows == 1


def test_a_changed_column_builds_the_table_anew_with_all_days_and_the_views_on_it(
    sample, run, query, postgres_url, tmp_path
):
    run(DAY, NEXT)
    query("update mart.vehicle_days set fleet_number = 'old'")
    project = _changed(tmp_path, "named.fleet_number,", "cast(named.fleet_number as varchar(20)) as fleet_number,")
    later = NEXT + dt.timedelta(days=5)
    assert publish(postgres_url, project, project.model("vehicle_days"), Days(later, later)).is_rebuilt
    assert {row["operational_date"]: row["fleet_number"] for row in _all(query)} == {DAY: None, NEXT: None}
    assert query("select vehicle_days from mart.cycle_carriers order by 1")


def test_an_unchanged_view_does_not_wait_for_its_readers(sample, run, query, postgres_url, project):
    run(DAY, NEXT)
    with engine_of(postgres_url).begin() as reader:
        reader.execute(sa.text("set local statement_timeout = '120s'"))
        reader.execute(sa.text("select * from mart.stg_trips"))  # holds its lock until the end of the transaction
        with ThreadPoolExecutor(1) as pool:
            run_beside = pool.submit(publish, postgres_url, project, project.model("stg_trips"), Days(DAY, DAY))
            assert run_beside.result(timeout=120).rows == 2


def test_a_changed_variable_reaches_the_view(fill, run, query, postgres_url, project):
    fill("fact.fixed_cost_days", {"contract_id": "K", "amount_brl": 1})
    run(DAY, NEXT)
    publish(postgres_url, project, project.model("cycle_carriers"), None, {"closing_day": 1})
    assert [row["cycle_start"] for row in query("select * from mart.cycle_carriers")] == [DAY.replace(day=1)]


def test_a_percent_sign_and_a_colon_in_a_model_are_text(sample, run, query, postgres_url, tmp_path):
    run(DAY, NEXT)
    project = _changed(tmp_path, "named.fleet_number,", "'100 % :of (%s)' as fleet_number,")
    for _ in range(2):
        publish(postgres_url, project, project.model("vehicle_days"), Days(DAY, NEXT))
    assert {row["fleet_number"] for row in _all(query)} == {"100 % :of (%s)"}


def test_somebody_elses_view_is_not_dropped(sample, run, query, postgres_url, tmp_path):
    run(DAY, NEXT)
    query("create schema bi")
    query("create view bi.mine as select plate, fleet_number from mart.vehicle_days")
    project = _changed(tmp_path, "named.fleet_number,", "cast(named.fleet_number as varchar(20)) as fleet_number,")
    with pytest.raises(PermanentError, match=r"Publishing mart\.vehicle_days failed.*bi\.mine depends on"):
        publish(postgres_url, project, project.model("vehicle_days"), Days(NEXT, NEXT))
    assert len(query("select * from bi.mine")) == 2
    assert query("select * from mart.cycle_carriers")


def test_tables_that_became_views_are_tables_again_with_their_grants(sample, run, query, postgres_url, project):
    run(DAY, NEXT)
    tables = [model for model in project.models if not model.is_view]
    before = {model.name: _all(query, model.name) for model in tables}
    query("drop schema mart cascade; create schema mart")
    for model in project.models:  # as a dbt project without its options leaves them
        query(f"create view {model.relation} as {project.sql(model)}".replace(":", "\\:"))
    query("grant select on mart.d1_trips to public")
    run(NEXT)
    kinds = {row["relname"]: row["relkind"] for row in query(_KINDS_OF_MARTS)}
    assert kinds == {model.name: "v" if model.is_view else "r" for model in project.models}
    assert {model.name: _all(query, model.name) for model in tables} == before
    assert query("select has_table_privilege('public', 'mart.d1_trips', 'select') as may") == [{"may": True}]


def test_what_is_neither_table_nor_view_is_named_and_stays(sample, run, query):
    query("create schema if not exists mart; create materialized view mart.stg_places as select 1 as poi_id")
    with pytest.raises(PermanentError, match=r"mart\.stg_places is a materialized view, but a view of that name"):
        run(DAY)
    assert query("select poi_id from mart.stg_places") == [{"poi_id": 1}]


def test_a_rebuilt_table_keeps_its_grants_and_its_row_security(sample, run, query, postgres_url, tmp_path):
    run(DAY, NEXT)
    query("grant select on mart.vehicle_days to public; grant select (unit_code) on mart.cycle_carriers to public")
    query("alter table mart.vehicle_days enable row level security")
    query("create policy by_unit on mart.vehicle_days for select using (unit_code = 'U1')")
    query("alter view mart.cycle_carriers set (security_invoker = true)")
    rights = """select relname, cast(relacl as text), relrowsecurity, reloptions,
        array(select cast(attacl as text) from pg_attribute where attrelid = pg_class.oid and attacl is not null)
        from pg_class where relname in ('vehicle_days', 'cycle_carriers') order by 1"""
    before = [query(rights), query("select * from pg_policies order by tablename, policyname")]
    project = _changed(tmp_path, "named.fleet_number,", "cast(named.fleet_number as varchar(20)) as fleet_number,")
    assert publish(postgres_url, project, project.model("vehicle_days"), Days(NEXT, NEXT)).is_rebuilt
    assert [query(rights), query("select * from pg_policies order by tablename, policyname")] == before


def test_two_runs_at_once_end_as_one_after_the_other(sample, postgres_url, project, run, query):
    run(DAY, NEXT)
    before = _all(query, "d1_trips")
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda model: publish(postgres_url, project, project.model(model), Days(DAY, NEXT)),
                ["d1_trips", "stg_trips"] * 4,
            )
        )
    assert _all(query, "d1_trips") == before


def test_descriptions_reach_the_database(sample, run, query, project):
    run()
    comment = query("select obj_description('mart.d1_trips'::regclass) as text")[0]["text"]
    assert comment == project.model("d1_trips").description
    columns = query("""select col_description('mart.stg_trips'::regclass, attnum) as text from pg_attribute
                       where attrelid = 'mart.stg_trips'::regclass and attname = 'km_measured'""")
    assert "km" in columns[0]["text"]


@pytest.mark.parametrize(
    ("damage", "model", "test", "sentence"),
    [
        ("set plate = null", "d1_trips", "plate_not_null", r"d1_trips\.plate: 2 rows .*never empty.*trip_id=t1"),
        ("set trip_id = 't'", "d1_trips", "trip_id_unique", r"1 rows .*no two rows share a value.*trip_id=t, rows=2"),
        ("set purpose = 'fun'", "d1_trips", "purpose_accepted_values", r"2 rows .*one of service, .*purpose=fun"),
        ("set vehicle_day_id = 'gone'", "d1_trips", "vehicle_day_id_relationships", r"2 rows .*ref\('vehicle_days'\)"),
    ],
)
def test_a_broken_rule_says_how_many_rows_and_shows_some(
    sample, run, query, postgres_url, project, damage, model, test, sentence
):
    run(DAY, NEXT)
    found = next(one for one in project.model(model).tests if one.name == test)
    with engine_of(postgres_url).connect() as connection:
        assert failures(connection, project, project.model(model), found).count == 0
    query(f"update mart.{model} {damage} where operational_date = '{DAY}'")
    with engine_of(postgres_url).connect() as connection:
        result = failures(connection, project, project.model(model), found)
        of_all = failures_by_test(connection, project, project.model(model), project.model(model).tests)
        elsewhere = Days(NEXT + dt.timedelta(days=5), NEXT + dt.timedelta(days=5))
        assert failures(connection, project, project.model(model), found, elsewhere).count == 0
    assert re.search(sentence, result.sentence(project.model(model))), result.sentence(project.model(model))
    assert of_all[test] == result


def test_all_rules_hold_on_good_rows(sample, run, postgres_url, project):
    run(DAY, NEXT)
    with engine_of(postgres_url).connect() as connection:
        broken = [
            result.sentence(model)
            for model in project.models
            for result in failures_by_test(connection, project, model, model.tests, Days(DAY, NEXT)).values()
            if result.count
        ]
        assert broken == []
        assert connection.scalar(sa.text("select count(*) from mart.vehicle_days")) == 2
