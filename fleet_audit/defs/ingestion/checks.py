"""Checks of what arrived: files that were refused, files with lost rows.

They judge all that is unresolved, whichever run recorded it; days of a file with lost rows are blocked in `staging`.
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from fleet_audit.defs.evaluations import SHOWN, check_result
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.table_checks import RECONCILES
from fleet_audit.defs.tables import key_of
from fleet_audit.ingest.incomplete.files import lost_rows, refused_files
from fleet_audit.schema.facts import INGESTED_FILES
from fleet_audit.storage.output_metadata import markdown
from fleet_audit.storage.step_errors import acts_on_errors

_REFUSED = dg.AssetCheckSpec(
    "no_file_was_refused",
    asset=key_of(INGESTED_FILES),
    description="No file is refused whole. Fails until the corrected file arrives under the same name.",
)
_LOST = dg.AssetCheckSpec(
    RECONCILES,
    asset=key_of(INGESTED_FILES),
    description="Of every file: rows read = accepted + rejected + duplicate, also summed over its days.",
)
_CURE = "Have the file corrected and put it into the inbox under the same name: its days then run again by themselves."


@dg.multi_asset_check(name="arrived_files", specs=[_REFUSED, _LOST], can_subset=True)
@acts_on_errors
def arrived_files(context: dg.AssetCheckExecutionContext, fleet: FleetResource) -> Iterator[dg.AssetCheckResult]:
    """Warn of refused files; fail for files with lost rows, without blocking days that have nothing to do with them."""
    selected = context.selected_asset_check_keys
    if _REFUSED.key in selected:
        yield _refused(refused_files(fleet.warehouse()))
    if _LOST.key in selected:
        sentences = lost_rows(fleet.warehouse())
        yield check_result(_LOST, sentences, dg.AssetCheckSeverity.ERROR, {"files_with_lost_rows": len(sentences)})


def _refused(files: pd.DataFrame) -> dg.AssetCheckResult:
    sentences = [f"{row.file_name}: {row.message}" for row in files.itertuples()]
    shown = {"files": dg.MetadataValue.md(markdown(files.head(SHOWN))), "cure": _CURE} if sentences else {}
    return check_result(_REFUSED, sentences, dg.AssetCheckSeverity.WARN, {"refused_files": len(files), **shown})
