"""The code location, loaded once."""

from __future__ import annotations

import warnings

import dagster as dg
import pytest


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    from fleet_audit.definitions import build_definitions

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which warnings there are is a test of its own
        return build_definitions()


@pytest.fixture(scope="session")
def repository(definitions: dg.Definitions) -> dg.RepositoryDefinition:
    """What the daemon evaluates ticks with (1 s to make)."""
    return definitions.get_repository_def()
