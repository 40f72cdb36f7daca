"""One asset per file of `dbt_like_sql`, key `mart/<file>`; the file holds the computation.

Reading, checking and publishing the models is in `fleet_audit.marts`.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import daily_backfill, daily_partitions, parse_day
from fleet_audit.defs.resources import FleetResource
from fleet_audit.logic.primitives.cycles import ONE_DAY, cycle_of
from fleet_audit.marts.model import Days, Model, Relation
from fleet_audit.marts.project import Project, load_project
from fleet_audit.marts.publishing import Published, publish
from fleet_audit.storage.step_errors import acts_on_errors


def key_of(relation: Relation) -> dg.AssetKey:
    """`schema/name`: of a source and of a model alike."""
    return dg.AssetKey([relation.schema, relation.name])


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, closing_day: int) -> Days | None:
    """The run's days and their cycles; None in a run without days, which publishes and tests models whole.

    A run publishes the rows of the day before its first one too (`in_run` of dbt_like_sql), which may end a cycle.
    """
    if not context.has_partition_key_range:
        return None
    first, last = (parse_day(key) for key in (context.partition_key_range.start, context.partition_key_range.end))
    days = Days(first - ONE_DAY, last).each()
    return Days(first, last, tuple(sorted({cycle_of(day, closing_day).start for day in days})))


def _column_schema(model: Model, types: Mapping[str, str]) -> dg.TableSchema:
    """The columns, with PostgreSQL's types once the relation exists."""
    kinds = {column.name: {test.kind for test in column.tests} for column in model.columns}
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                types.get(column.name, "unknown"),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable="not_null" not in kinds[column.name], unique="unique" in kinds[column.name]
                ),
            )
            for column in model.columns
        ]
    )


def _column_lineage(project: Project, model: Model) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(key_of(relation), source) for relation, source in origins]
            for column, origins in project.lineage(model).items()
        }
    )


def _metadata(project: Project, model: Model, published: Published) -> dict[str, Any]:
    return {
        **({} if model.is_daily else {"rows_of_cycles" if model.is_of_cycles else "dagster/row_count": published.rows}),
        "dagster/column_schema": _column_schema(model, published.types),
        "dagster/column_lineage": _column_lineage(project, model),
        "is_rebuilt": published.is_rebuilt,
    }


def _asset(project: Project, model: Model) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(model.relation),
        deps=[key_of(relation) for relation in model.reads],
        group_name=group_of("marts"),
        kinds={"sql", "postgres", "view" if model.is_view else "table"},
        owners=owners_of("marts"),
        description=model.description,
        code_version=model.code_version,
        partitions_def=daily_partitions if model.is_daily else None,
        backfill_policy=daily_backfill if model.is_daily else None,
        metadata={
            "dagster/column_schema": _column_schema(model, {}),
            "dagster/table_name": str(model.relation),
            "sql": dg.MetadataValue.md(f"```sql\n{model.template}\n```"),
        },
    )
    @acts_on_errors
    def mart(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.MaterializeResult:
        closing_day = fleet.settings().closing_day
        published = publish(
            fleet.warehouse().url, project, model, days_of(context, closing_day), {"closing_day": closing_day}
        )
        for day, rows in published.rows_by_day.items():
            context.add_asset_metadata({"dagster/row_count": rows}, partition_key=day.isoformat())
        return dg.MaterializeResult(metadata=_metadata(project, model, published))

    return mart


_project = load_project()
marts = [_asset(_project, model) for model in _project.models]
