"""What the command line prints of a step that failed."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from fleet_audit.cli.run import LOGGER, JobResult, _execute, _logger

DAY = dt.date(2025, 6, 10)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("Row 7 has no plate."), "failing: Row 7 has no plate."),
        (ValueError("a.csv: row 7 has no plate."), "failing: a.csv: row 7 has no plate."),
        (MemoryError(), "failing: MemoryError"),
    ],
)
def test_a_failed_step_is_named_with_its_message_or_its_class(error: Exception, sentence: str) -> None:
    @dg.asset
    def failing() -> None:
        raise error

    loggers = {LOGGER: _logger(print)}
    definitions = dg.Definitions(assets=[failing], jobs=[dg.define_asset_job("all")], loggers=loggers)
    with dg.instance_for_test() as instance:
        result = JobResult([], [])
        assert not _execute(definitions, "all", (DAY, DAY), instance, result)
    assert result.errors == [sentence]
