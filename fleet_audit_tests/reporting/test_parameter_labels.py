"""Every parameter has a Portuguese label."""

from __future__ import annotations

from fleet_audit.logic.primitives.parameters import DEFAULTS
from fleet_audit.reporting.parameter_labels import parameter_label


def test_every_parameter_has_a_portuguese_label() -> None:
    missing = [parameter.name for parameter in DEFAULTS if parameter_label(parameter.name) == parameter.name]
    assert not missing, "add them to fleet_audit/reporting/parameter_labels.py"
