"""Every asset can be materialised alone, with its checks: what the UI and `dg launch --assets` resolve."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(scope="module")
def job(definitions) -> dg.JobDefinition:
    """The job of runs that are launched by assets and not by a job's name."""
    return definitions.resolve_implicit_global_asset_job_def()


def _selected(job: dg.JobDefinition, keys: set[dg.AssetKey]) -> set[dg.AssetKey]:
    return set(job.get_subset(asset_selection=keys).asset_layer.executable_asset_keys)


def _steps(definitions: dg.Definitions) -> Iterator[set[dg.AssetKey]]:
    """The assets of each step that computes or checks several."""
    for one in definitions.assets:
        if isinstance(one, dg.AssetsDefinition):
            yield set(one.keys) | {key.asset_key for key in one.check_keys}
    for checks in definitions.asset_checks:
        yield {key.asset_key for key in checks.check_keys}


def test_each_asset_alone_is_a_run_of_that_asset(job):
    keys = job.asset_layer.executable_asset_keys
    assert len(keys) > 60
    assert {key.to_user_string() for key in keys if _selected(job, {key}) != {key}} == set()


def test_assets_of_one_step_are_selected_in_pairs(job, definitions):
    """Only a step with several assets can be torn apart by a selection."""
    keys = job.asset_layer.executable_asset_keys
    pairs = {pair for step in _steps(definitions) for pair in itertools.combinations(sorted(step & keys), 2)}
    assert len(pairs) > 100
    assert [pair for pair in sorted(pairs) if _selected(job, set(pair)) != set(pair)] == []


def test_groups_are_in_reading_order_and_need_no_quotes_in_a_selection(definitions):
    graph = definitions.resolve_asset_graph()
    groups = {spec.group_name for spec in definitions.resolve_all_asset_specs()}
    assert [group.split("_", 1)[1] for group in sorted(groups)] == [
        "ingestion", "reference", "staging", "trips", "devices", "costs", "audit", "marts", "reports", "cycle",
        "closing", "health",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of Dagster's own call
        for group in groups:
            assert dg.AssetSelection.from_string(f"group:{group}").resolve(graph), group


def test_each_check_with_a_step_of_its_own_can_be_evaluated_alone(job, definitions):
    keys = {key for checks in definitions.asset_checks for key in checks.check_keys}
    assert len(keys) > 100
    for key in keys:
        job.get_subset(asset_selection=set(), asset_check_selection={key})
