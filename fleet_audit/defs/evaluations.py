"""Evaluations of a check per partition: of a range run each day or cycle has its own result in the UI.

What is judged belongs to the checks of each subject.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

SHOWN = 20  # sentences of one partition; the event log keeps every evaluation for years
Evaluated = dg.Output | dg.AssetCheckEvaluation
Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def partition_results(
    context: Context,
    spec: dg.AssetCheckSpec,
    found: Mapping[str, Sequence[str]],
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    numbers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Evaluated]:
    """Yields the output of a check, and one evaluation per partition key of `found`: passed without sentences.

    `AssetCheckResult` has no partition: of a range it gave one evaluation without a partition, and the UI showed every
    day as skipped. `numbers` is further metadata per partition key.
    """
    targets = _last_materializations(context, spec.asset_key, list(found))
    yield dg.Output(None, output_name=spec.get_python_identifier())
    for key, sentences in found.items():
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not sentences,
            metadata={**listed(sentences), **(numbers or {}).get(key, {})},
            target_materialization_data=targets.get(key),
            severity=severity,
            description=sentences[0] if sentences else None,
            blocking=spec.blocking,
            partition=key,
        )


def check_result(
    spec: dg.AssetCheckSpec,
    sentences: Sequence[str],
    severity: dg.AssetCheckSeverity,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckResult:
    """The result of a check without partitions: passed without sentences, described by the first of them."""
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return dg.AssetCheckResult(
        passed=not sentences,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=severity,
        description=f"{sentences[0]}{more}" if sentences else None,
        metadata={**listed(sentences), **(metadata or {})},
    )


def listed(sentences: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """The first sentences as a list, and how many more there are; empty without sentences."""
    if not sentences:
        return {}
    lines = [f"- {sentence}" for sentence in sentences[:SHOWN]]
    if len(sentences) > SHOWN:
        lines.append(f"- … and {len(sentences) - SHOWN} more")
    return {"found": dg.MetadataValue.md("\n".join(lines))}


def _last_materializations(
    context: Context, asset: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """What each partition's evaluation is about: without it the UI calls the evaluation outdated."""
    step = (context.run.run_id, context.op_execution_context.op_def.name, context.retry_number)
    return _found_by_step(context.instance, step, asset, tuple(partitions))


@lru_cache(maxsize=1)  # the checks of one asset in a step follow each other: ten of most SQL models
def _found_by_step(
    instance: dg.DagsterInstance, step: tuple[str, str, int], asset: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The last materialization per partition key as it was when the step first asked.

    One query of an asset that the run has just materialized: as many of its newest records as there are partitions
    are one of each. Where some are older, two more find them.
    """
    newest = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=list(partitions))
    records = instance.fetch_materializations(newest, limit=len(partitions)).records if partitions else []
    if len({record.partition_key for record in records}) < len(records) == len(partitions):
        latest = instance.get_latest_storage_id_by_partition(
            asset, dg.DagsterEventType.ASSET_MATERIALIZATION, set(partitions)
        )
        latest_only = dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(latest.values()))
        records = instance.fetch_materializations(latest_only, limit=len(latest)).records
    return {
        str(record.partition_key): AssetCheckEvaluationTargetMaterializationData(
            run_id=record.run_id, storage_id=record.storage_id, timestamp=record.timestamp
        )
        for record in reversed(records)  # the newest one of a partition comes first
    }
