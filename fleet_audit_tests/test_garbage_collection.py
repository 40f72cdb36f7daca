"""Collections pause while a command loads the code location and go on afterwards, also for a second command."""

from __future__ import annotations

import gc

from fleet_audit.garbage_collection import keep_loaded_objects, pause_collections


def test_collections_go_on_once_the_code_location_is_loaded() -> None:
    for _ in range(2):
        pause_collections()
        assert not gc.isenabled()
        keep_loaded_objects()
        assert gc.isenabled()
