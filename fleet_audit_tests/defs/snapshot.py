"""What the code location consists of, as a small JSON: a change of it is seen in review.

`python -m fleet_audit_tests.defs.snapshot` writes `snapshot.json` anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg

PATH = Path(__file__).parent / "snapshot.json"
REFRESH = "python -m fleet_audit_tests.defs.snapshot"


def snapshot(definitions: dg.Definitions) -> dict[str, Any]:
    """Keys, groups, dependencies, partitions and checks of assets; jobs, schedules and sensors."""
    graph = definitions.resolve_asset_graph()
    checks: dict[str, list[str]] = {}
    for key in graph.asset_check_keys:
        blocking = " (blocking)" if graph.get(key).blocking else ""
        checks.setdefault(key.asset_key.to_user_string(), []).append(f"{key.name}{blocking}")
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        name = key.to_user_string()
        assets[name] = {
            "group": node.group_name,
            "partitions": _partitions(node.partitions_def),
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "checks": sorted(checks.get(name, [])),
        }
    return {
        "assets": assets,
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in (definitions.resolve_job_def(name) for name in ("close", "cycle", "day"))
        },
        "schedules": {
            one.name: {"job": one.job_name, "cron": one.cron_schedule, "zone": one.execution_timezone,
                       "default": one.default_status.value}
            for one in sorted(definitions.schedules or (), key=lambda one: one.name)
        },
        "sensors": {
            one.name: {"job": one.job_name if one.has_jobs else None, "interval_s": one.minimum_interval_seconds,
                       "default": one.default_status.value}
            for one in sorted(definitions.sensors or (), key=lambda one: one.name)
        },
    }  # fmt: skip


def text(definitions: dg.Definitions) -> str:
    """The snapshot as it is in the file."""
    return json.dumps(snapshot(definitions), indent=1, ensure_ascii=False) + "\n"


def _partitions(partitions: dg.PartitionsDefinition | None) -> str | None:
    if partitions is None:
        return None
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    return f"{partitions.cron_schedule} {partitions.timezone}"


if __name__ == "__main__":
    from fleet_audit.definitions import build_definitions

    PATH.write_text(text(build_definitions()), encoding="utf-8")
