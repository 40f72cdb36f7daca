"""The IO manager of reports: files by name, in the lake under the partition that they report on.

The content of reports is in `reporting`; tables have their own IO managers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.memory import release_unused_memory
from fleet_audit.storage.io_managers import StoreOpener
from fleet_audit.storage.output_metadata import add_partition_metadata
from fleet_audit.storage.step_errors import acts_on_errors


class ReportIOManager(dg.IOManager):
    """Writes `(partition key, {file name: bytes})` under `reports/<name>/<label>=<key>/`.

    A third member may follow, which makes metadata to show beside the files: a page takes as long as the report, so of
    a range only the last one's is made.
    The asset's metadata hold `path` (e.g. `reports/d1`) and `label` (`date` or `start`); with `folder` the files go
    below that folder of the partition, and what a run before left there under other names is removed.
    """

    def __init__(self, stores: StoreOpener, before_write: Callable[[], None] = lambda: None) -> None:
        """`stores` opens the lake on first use; `before_write` raises where the run may not write."""
        self._stores = stores
        self._before_write = before_write

    @acts_on_errors
    def handle_output(self, context: dg.OutputContext, obj: Iterable[tuple[Any, ...]]) -> None:
        """Write each partition's files; the metadata of each partition list where they are."""
        lake = self._stores.lake()
        path, label = context.definition_metadata["path"], context.definition_metadata["label"]
        folder = context.definition_metadata.get("folder")
        key: str | None = None
        make_preview: Callable[[], Mapping[str, dg.MetadataValue]] = dict
        for key, files, *preview in obj:
            self._before_write()
            make_preview = preview[0] if preview else make_preview
            base = f"{path}/{label}={key}" + (f"/{folder}" if folder else "")
            targets = {f"{base}/{name}": content for name, content in files.items()}
            for target, content in targets.items():
                lake.put_bytes(target, content)
            for stale in sorted(set(lake.list(base)) - set(targets)) if folder else ():
                lake.delete(stale)
            add_partition_metadata(context, key, _files_metadata([lake.url(target) for target in targets]))
        if key is not None:
            add_partition_metadata(context, key, make_preview())
        release_unused_memory()

    @acts_on_errors
    def load_input(self, context: dg.InputContext) -> object:
        """Reports are read by people."""
        raise PermanentError(f"{context.asset_key.to_user_string()} is a report: nothing is computed from it.")


def _files_metadata(urls: Sequence[str]) -> dict[str, Any]:
    return {"files": dg.MetadataValue.md("\n".join(f"- `{url}`" for url in urls)), "file_count": len(urls)}
