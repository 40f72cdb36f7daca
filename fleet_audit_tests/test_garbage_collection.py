"""Collections pause while a command loads the code location and go on afterwards, also for a second command."""

from __future__ import annotations

import gc

from click.testing import CliRunner

from fleet_audit.cli import replay
from fleet_audit.cli.main import main
from fleet_audit.errors import PermanentError
from fleet_audit.garbage_collection import keep_loaded_objects, pause_collections


def test_collections_go_on_once_the_code_location_is_loaded() -> None:
    for _ in range(2):
        pause_collections()
        assert not gc.isenabled()
        keep_loaded_objects()
        assert gc.isenabled()


def test_collections_go_on_while_the_copy_of_a_past_run_is_filled(monkeypatch, tmp_path) -> None:
    """It holds the frames of many tables, and none of their cycles was freed until the end of the filling."""
    seen: list[bool] = []

    def fill(*_: object) -> None:
        seen.append(gc.isenabled())
        raise PermanentError("Nothing had arrived by then.")

    monkeypatch.setattr(replay, "as_of_installation", fill)
    days = ("--from", "2025-06-10", "--to", "2025-06-10", "--as-of", "2025-06-12")
    CliRunner().invoke(main, ["run", *days, "--home", str(tmp_path)])
    assert seen == [True]
    assert gc.isenabled()
