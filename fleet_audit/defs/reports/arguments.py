"""Arguments that the assets of all reports have in common.

What a report is made of is in `frames`.
"""

from typing import Any

from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import single_run

ARGUMENTS: dict[str, Any] = {
    "group_name": group_of("reports"),
    "owners": owners_of("reports"),
    "io_manager_key": "report_io",
    "backfill_policy": single_run,
}
