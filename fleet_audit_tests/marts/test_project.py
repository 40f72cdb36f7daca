"""The folder as a whole: every file is loaded and described, and what is wrong is named before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import Days, Relation
from fleet_audit.marts.project import FOLDER, Project, load_project
from fleet_audit_tests.marts.conftest import DAY, NEXT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the models that a test may break."""
    return shutil.copytree(FOLDER, tmp_path / "models")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_sql_file_is_loaded_and_described(project: Project) -> None:
    files = {path.stem for folder in ("staging", "marts") for path in (FOLDER / folder).glob("**/*.sql")}
    assert {model.name for model in project.models} == files
    for model in project.models:
        assert len(model.description) > 20, model.name
        assert all(column.description for column in model.columns), model.name
        assert model.relation == Relation("mart", model.path.stem)


def test_models_come_after_what_they_read(project: Project) -> None:
    order = [model.name for model in project.models]
    for model in project.models:
        assert all(order.index(name) < order.index(model.name) for name in model.refs)
    assert Relation("fact", "trips") in project.model("stg_trips").reads
    assert project.model("carrier_days").refs == ("vehicle_days",)


def test_a_column_is_traced_to_the_columns_that_it_is_computed_from(project: Project) -> None:
    lineage = project.lineage(project.model("d1_trips"))
    assert lineage["unit_name"] == [(Relation("mart", "stg_trips"), "unit_name")]
    assert lineage["match_kind"] == [(Relation("fact", "matches"), "kind")]
    assert (Relation("fact", "matches"), "declared_km") in lineage["difference_km"]
    assert (Relation("mart", "stg_trips"), "km_measured") in lineage["difference_km"]
    assert project.lineage(project.model("stg_trips"))["fleet_number"] == [
        (Relation("mart", "stg_vehicles"), "fleet_number")
    ]


def test_a_run_reads_its_days_and_the_one_before(project: Project) -> None:
    model = project.model("vehicle_days")
    assert "cast('2025-06-10' as date) - 1 and cast('2025-06-11' as date) + 0" in project.sql(model, Days(DAY, NEXT))
    assert "2025-06-10" not in project.sql(model)


def test_only_dates_and_numbers_enter_the_sql(project: Project) -> None:
    with pytest.raises(ValueError, match="drop"):
        project.sql(project.model("cycle_carriers"), None, {"closing_day": "16; drop table fact.trips"})  # type: ignore[dict-item]


def _unknown_ref(folder: Path) -> str:
    _replace(folder / "marts/carrier_days.sql", "ref('vehicle_days')", "ref('vehicle_dayz')")
    return r"marts/carrier_days\.sql refers to model vehicle_dayz, which does not exist"


def _unlisted_source(folder: Path) -> str:
    _replace(folder / "staging/stg_trips.sql", "'trip_scores'", "'trip_marks'")
    return r"stg_trips\.sql reads source fact\.trip_marks, which no sources\.yml lists"


def _source_without_table(folder: Path) -> str:
    _replace(folder / "staging/sources.yml", "name: trip_scores", "name: trip_marks")
    _replace(folder / "staging/stg_trips.sql", "'trip_scores'", "'trip_marks'")
    return r"stg_trips\.sql reads source fact\.trip_marks, which the column dictionary"


def _options_of_a_folder(folder: Path) -> str:
    _replace(folder / "dbt_project.yml", "    +schema: mart", "    staging: {+materialized: view}\n    +schema: mart")
    return r"dbt_project\.yml: dbt ignores the options of staging"


def _duplicate(folder: Path) -> str:
    shutil.copy(folder / "marts/d1_trips.sql", folder / "staging/d1_trips.sql")
    return r"d1_trips\.sql and .*d1_trips\.sql have the same name"


def _circle(folder: Path) -> str:
    _replace(
        folder / "marts/vehicle_days.sql",
        "left join ledger\n",
        "left join {{ ref('carrier_days') }} as circle on true\nleft join ledger\n",
    )
    return r"reads itself in a circle: .*vehicle_days"


def _two_statements(folder: Path) -> str:
    path = folder / "staging/stg_findings.sql"
    path.write_text(path.read_text(encoding="utf-8") + "; delete from fact.findings", encoding="utf-8")
    return r"stg_findings\.sql is not one SELECT"


def _no_select(folder: Path) -> str:
    (folder / "staging/stg_findings.sql").write_text("delete from {{ source('fact', 'findings') }}", encoding="utf-8")
    return r"stg_findings\.sql is not one SELECT"


def _no_sql(folder: Path) -> str:
    (folder / "staging/stg_findings.sql").write_text("select from where (", encoding="utf-8")
    return r"stg_findings\.sql is not valid PostgreSQL"


def _not_described(folder: Path) -> str:
    (folder / "marts/extra.sql").write_text("select 1 as one", encoding="utf-8")
    return r"marts/extra\.sql is not described: add extra to .*marts/schema\.yml"


def _no_file(folder: Path) -> str:
    (folder / "marts/carrier_days.sql").unlink()
    return r"marts/schema\.yml describes model carrier_days, but the file carrier_days\.sql is missing"


def _undescribed_column(folder: Path) -> str:
    _replace(folder / "staging/stg_places.sql", "pois.kind,", "pois.kind,\n    pois.radius_m,")
    return r"stg_places\.sql: .*schema\.yml does not describe radius_m"


def _described_too_much(folder: Path) -> str:
    _replace(folder / "staging/stg_places.sql", "    pois.kind,\n", "")
    return r"schema\.yml describes columns of stg_places that its SELECT does not have: kind"


def _unknown_column(folder: Path) -> str:
    _replace(folder / "staging/stg_places.sql", "pois.kind,", "pois.sort,")
    return r"stg_places\.sql reads a column that does not exist: .*sort"


def _table_past_source(folder: Path) -> str:
    _replace(folder / "staging/stg_places.sql", "{{ source('ref', 'pois') }}", "ref.pois")
    return r"stg_places\.sql names the table ref\.pois.* directly"


def _broken_template(folder: Path) -> str:
    _replace(folder / "staging/stg_places.sql", "{{ source('ref', 'pois') }}", "{{ sauce('ref', 'pois') }}")
    return r"stg_places\.sql: the template does not render: 'sauce' is undefined"


def _unknown_test(folder: Path) -> str:
    _replace(folder / "marts/schema.yml", "          - unique", "          - uniqe")
    return r"schema\.yml: test uniqe of .* is not known"


def _bad_relationship(folder: Path) -> str:
    _replace(folder / "staging/schema.yml", "field: trip_id", "field: trip")
    return r"schema\.yml: the relationships test of stg_findings\.trip_id names mart\.stg_trips\.trip"


def _no_partition(folder: Path) -> str:
    _replace(folder / "marts/cycle_carriers.sql", "materialized='view'", "materialized='incremental'")
    return r"cycle_carriers\.sql is incremental but has no column operational_date"


def _bad_yaml(folder: Path) -> str:
    (folder / "marts/schema.yml").write_text("models: [", encoding="utf-8")
    return r"marts/schema\.yml is not valid YAML"


@pytest.mark.parametrize(
    "damage",
    [
        _unknown_ref,
        _unlisted_source,
        _source_without_table,
        _options_of_a_folder,
        _duplicate,
        _circle,
        _two_statements,
        _no_select,
        _no_sql,
        _not_described,
        _no_file,
        _undescribed_column,
        _described_too_much,
        _unknown_column,
        _table_past_source,
        _broken_template,
        _unknown_test,
        _bad_relationship,
        _no_partition,
        _bad_yaml,
    ],
)
def test_a_mistake_is_named_with_its_file(folder: Path, damage: Callable[[Path], str]) -> None:
    sentence = damage(folder)
    with pytest.raises(PermanentError, match=sentence):
        load_project(folder)
