"""The marts in Dagster: an asset a file, a check a test, and both run on a real database."""

import dagster as dg
import pytest

from fleet_audit.marts.project import load_project
from fleet_audit_tests.marts.conftest import DAY, NEXT

_TAGS = {
    "dagster/asset_partition_range_start": DAY.isoformat(),
    "dagster/asset_partition_range_end": NEXT.isoformat(),
}


@pytest.fixture
def marts() -> list[dg.AssetsDefinition]:
    from fleet_audit.defs.marts.assets import marts  # not at the top: collecting turns the beta warning into an error

    return marts


@pytest.fixture
def mart_checks(marts) -> list[dg.AssetChecksDefinition]:
    from fleet_audit.defs.marts.checks import mart_checks

    return mart_checks


@pytest.fixture
def day_run(postgres_url, tmp_path, marts, mart_checks):
    """Runs all marts with their checks, as a job does: by partition key or by range."""

    def execute(**partition: object) -> dg.ExecuteInProcessResult:
        from fleet_audit.defs.catalog import group_of

        job = dg.define_asset_job("marts", selection=dg.AssetSelection.groups(group_of("marts")))
        from fleet_audit.defs.resources import FleetResource

        fleet = FleetResource(warehouse_url=postgres_url, home=str(tmp_path))
        defs = dg.Definitions(assets=marts, asset_checks=mart_checks, jobs=[job], resources={"fleet": fleet})
        return defs.resolve_job_def("marts").execute_in_process(raise_on_error=False, **partition)

    return execute


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["mart", name])


def test_every_file_is_an_asset_with_its_sources_upstream(marts):
    specs = {spec.key: spec for asset in marts for spec in asset.specs}
    assert set(specs) == {_key(model.name) for model in load_project().models}
    upstream = {dep.asset_key.to_user_string() for dep in specs[_key("stg_trips")].deps}
    assert {"fact/trips", "fact/trip_costs", "ref/units", "mart/stg_vehicles"} <= upstream
    for spec in specs.values():
        assert spec.owners == ["team:data-platform"]
        assert spec.kinds >= {"sql", "postgres"}
        assert spec.code_version
    assert specs[_key("d1_trips")].partitions_def is not None
    assert specs[_key("stg_vehicles")].partitions_def is None


def test_every_test_of_schema_yml_is_a_check(mart_checks):
    found = {(spec.asset_key, spec.name) for checks in mart_checks for spec in checks.check_specs}
    assert found == {(_key(model.name), test.name) for model in load_project().models for test in model.tests}
    assert len(found) > 50


def test_a_range_publishes_and_checks_its_days(day_run, sample, query, mart_checks):
    result = day_run(tags=_TAGS)
    assert result.success
    assert len(query("select * from mart.d1_trips")) == 3
    evaluations = result.get_asset_check_evaluations()
    specs = [spec for checks in mart_checks for spec in checks.check_specs]
    assert len(evaluations) == sum(1 if spec.partitions_def is None else 2 for spec in specs)
    assert [one.description for one in evaluations if not one.passed] == []
    made = result.asset_materializations_for_node("mart__d1_trips")
    counts = {one.partition: one.metadata["dagster/row_count"].value for one in made}
    assert counts == {DAY.isoformat(): 2, NEXT.isoformat(): 1}
    metadata = made[0].metadata
    lineage = metadata["dagster/column_lineage"].value.deps_by_column
    assert lineage["plate"] == [dg.TableColumnDep(_key("stg_trips"), "plate")]
    types = {column.name: column.type for column in metadata["dagster/column_schema"].value.columns}
    assert (types["operational_date"], types["plate"]) == ("date", "text")
    assert "unknown" not in types.values()


def test_a_broken_rule_fails_the_run_with_a_sentence(day_run, sample, query):
    query("alter table fact.trips drop constraint ck_trips_purpose")
    query("update fact.trips set purpose = 'fun' where trip_id = 't1'")
    result = day_run(partition_key=DAY.isoformat())
    assert not result.success
    broken = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert [(one.asset_key, one.check_name) for one in broken] == [(_key("stg_trips"), "purpose_accepted_values")]
    assert "1 rows break the rule that it is one of service, " in broken[0].description
    assert "purpose=fun" in broken[0].description


def test_a_failed_test_stops_only_those_that_read_the_model(mart_checks):
    """A step fails as a whole: one that stops readers has the tests of one model."""
    read = {_key(name) for model in load_project().models for name in model.refs}
    for checks in mart_checks:
        tested = {spec.asset_key for spec in checks.check_specs}
        assert len(tested) == 1 or not tested & read
