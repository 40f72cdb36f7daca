"""`fleet-audit rebuild`: an empty warehouse filled from the lake's `raw/`, and the days computed again.

What the archive contains and how it is restored is in `closing.rebuild`; a day is computed by the main job.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleet_audit.closing.rebuild import prepare_warehouse, restore
from fleet_audit.ingest.inbox.file_days import spans_of
from fleet_audit.installation import Installation
from fleet_audit.observability.json_logs import known_fields, partition_name
from fleet_audit.settings import Settings, load_settings

_NO_SOURCES = {"FLEET_INBOX_URL": "", "FLEET_API_URL": ""}  # only what is archived counts


@dataclass
class RebuildResult:
    """Number of files and days; `errors` are sentences on what failed or is damaged."""

    files: int
    days: Sequence[dt.date]
    errors: list[str] = field(default_factory=list)


def rebuild(
    settings: Settings, first: dt.date | None, last: dt.date | None, progress: Callable[[str], None], *,
    is_replaced: bool,
) -> RebuildResult:  # fmt: skip
    """Restore the warehouse from the archive, and compute again the days that had been computed.

    Args:
        settings: the installation, its options already in the environment.
        first, last: compute only days of this range; None is open.
        progress: takes a line on each stage.
        is_replaced: empty a warehouse that has data.

    Raises PermanentError when the warehouse is not empty, or the archive does not have what a rebuild needs.
    """
    os.environ.update(_NO_SOURCES)
    from fleet_audit.cli.run import run_days

    stores = Installation(settings).stores()
    prepare_warehouse(stores.warehouse, is_replaced=is_replaced)
    restored = restore(stores, progress)
    days = [day for day in restored.days if (first or day) <= day <= (last or day)]
    result = RebuildResult(restored.files, days, list(restored.problems))
    for start, end in spans_of(days):
        with known_fields(partition=partition_name(start, end)):
            progress(f"computing {start} to {end}")
        result.errors += run_days(load_settings(home=str(settings.home)), start, end, progress).errors
    return result
