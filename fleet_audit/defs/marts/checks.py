"""One asset check per test of schema.yml, over the days of the run.

A failed test stops the readers of the model, as in `dbt build`, unless its severity is `warn`: tests of a model that
others read are a step of their own. Those of models that none reads are one step for all, since a step costs 0.1 s.
"""

import warnings
from collections.abc import Iterator, Sequence

import dagster as dg
import sqlalchemy as sa

from fleet_audit.defs.evaluations import Evaluated, partition_results
from fleet_audit.defs.marts.assets import days_of, key_of
from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.marts.model import Days, Model, SchemaTest
from fleet_audit.marts.project import Project, load_project
from fleet_audit.marts.testing import Failures, claim, failures_by_day, failures_by_test
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


def _checks(project: Project, name: str, models: Sequence[Model]) -> dg.AssetChecksDefinition:
    """One step with the tests of these models."""
    specs = {(model.name, test.name): _spec(project, model, test) for model in models for test in model.tests}

    @dg.multi_asset_check(name=f"mart_{name}_tests", specs=list(specs.values()), can_subset=True)
    @acts_on_errors
    def tests(
        context: dg.AssetCheckExecutionContext, fleet: FleetResource
    ) -> Iterator[Evaluated | dg.AssetCheckResult]:
        days = days_of(context, fleet.settings().closing_day)
        with engine_of(fleet.warehouse().url).connect() as connection:
            for model in models:
                chosen = [
                    test
                    for test in model.tests
                    if specs[model.name, test.name].key in context.selected_asset_check_keys
                ]
                with sentences(f"Testing {model.relation}"):
                    found = failures_by_test(connection, project, model, chosen, days)
                for name, whole in found.items():
                    yield from _results(context, connection, project, model, whole, specs[model.name, name], days)

    return tests


def _results(
    context: dg.AssetCheckExecutionContext,
    connection: sa.Connection,
    project: Project,
    model: Model,
    whole: Failures,
    spec: dg.AssetCheckSpec,
    days: Days | None,
) -> Iterator[Evaluated | dg.AssetCheckResult]:
    """The result of a test: one for the whole model, or one per day."""
    if days is None or not model.is_daily:
        yield _whole_result(model, whole)
        return
    with sentences(f"Testing {model.relation}"):
        found = failures_by_day(connection, project, model, whole, days)
    yield from partition_results(
        context,
        spec,
        {day.isoformat(): [one.sentence(model)] if one.count else [] for day, one in found.items()},
        severity=_severity(whole.test),
        numbers={day.isoformat(): {"failing_rows": one.count} for day, one in found.items()},
    )


def _steps(project: Project) -> dict[str, list[Model]]:
    """Models with tests by the step that tests them."""
    read = {name for model in project.models for name in model.refs}
    steps: dict[str, list[Model]] = {}
    for model in project.models:
        if model.tests:
            name = model.name if model.name in read else "unread_daily" if model.is_daily else "unread_whole"
            steps.setdefault(name, []).append(model)
    return steps


def _whole_result(model: Model, found: Failures) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.count == 0,
        check_name=found.test.name,
        asset_key=key_of(model.relation),
        severity=_severity(found.test),
        description=found.sentence(model),
        metadata={"failing_rows": found.count},
    )


def _severity(test: SchemaTest) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if test.is_warning else dg.AssetCheckSeverity.ERROR


_project = load_project()
mart_checks = [_checks(_project, name, models) for name, models in _steps(_project).items()]
