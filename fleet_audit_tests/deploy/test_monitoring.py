"""The dashboard and the alerts ask only for metrics that `fleet-audit metrics` has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from fleet_audit.observability import metrics

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"


def _named() -> set[str]:
    """Names of the metrics in the module's source, each written once there."""
    source = Path(metrics.__file__).read_text()
    plain = re.findall(r'(?:_gauge|_labelled)\(\s*"(\w+)"', source)
    return {f"{metrics.PREFIX}_{name}" for name in [*plain, *re.findall(r"\{PREFIX\}_(\w+)\"", source)]}


def test_dashboard_and_alerts_ask_for_metrics_that_exist():
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in rules]
    used = {name for expression in asked for name in re.findall(r"fleet_audit_\w+", expression)}
    assert used <= _named()
    assert used >= _named() - {
        f"{metrics.PREFIX}_last_day_trips",
        f"{metrics.PREFIX}_last_day_computed_timestamp_seconds",
    }
