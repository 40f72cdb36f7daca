"""One asset check per test of schema.yml; those of a model run in one step, over the days of the run.

A failed test stops the readers of the model, as in `dbt build`, unless its severity is `warn`.
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from fleet_audit.defs.evaluations import Evaluated, partition_results
from fleet_audit.defs.marts.assets import days_of, key_of
from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.marts.model import Model, SchemaTest
from fleet_audit.marts.project import Project, load_project
from fleet_audit.marts.testing import Failures, claim, failures, failures_by_day
from fleet_audit.storage.postgres import engine_of, sentences
from fleet_audit.storage.step_errors import acts_on_errors


def _spec(project: Project, model: Model, test: SchemaTest) -> dg.AssetCheckSpec:
    related = [project.related(model, test.arguments["to"])] if test.kind == "relationships" else []
    with warnings.catch_warnings():
        # Preview in 1.13; without partitions one day's failure would count for every day.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            test.name,
            asset=key_of(model.relation),
            description=f"{test.column}: {claim(test)}.",
            additional_deps=[key_of(relation) for relation in related],
            blocking=not test.is_warning,
            partitions_def=daily_partitions if model.is_daily else None,
        )


def _checks(project: Project, model: Model) -> dg.AssetChecksDefinition:
    specs = {test.name: _spec(project, model, test) for test in model.tests}

    @dg.multi_asset_check(name=f"mart_{model.name}_tests", specs=list(specs.values()), can_subset=True)
    @acts_on_errors
    def tests(
        context: dg.AssetCheckExecutionContext, fleet: FleetResource
    ) -> Iterator[Evaluated | dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        url, days = fleet.warehouse().url, days_of(context, model)
        with sentences(f"Testing {model.relation}"), engine_of(url).connect() as connection:
            for test in model.tests:
                if test.name not in wanted:
                    continue
                if days is None:
                    yield _whole_result(model, test, failures(connection, project, model, test))
                    continue
                found = failures_by_day(connection, project, model, test, days)
                yield from partition_results(
                    context,
                    specs[test.name],
                    {day.isoformat(): [one.sentence(model)] if one.count else [] for day, one in found.items()},
                    severity=_severity(test),
                    numbers={day.isoformat(): {"failing_rows": one.count} for day, one in found.items()},
                )

    return tests


def _whole_result(model: Model, test: SchemaTest, found: Failures) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.count == 0,
        check_name=test.name,
        asset_key=key_of(model.relation),
        severity=_severity(test),
        description=found.sentence(model),
        metadata={"failing_rows": found.count},
    )


def _severity(test: SchemaTest) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if test.is_warning else dg.AssetCheckSeverity.ERROR


_project = load_project()
mart_checks = [_checks(_project, model) for model in _project.models if model.tests]
