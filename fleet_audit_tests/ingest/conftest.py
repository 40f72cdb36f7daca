"""An inbox, a lake and a warehouse to ingest into."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.inbox.ingestion import IngestSummary, ingest_inbox
from fleet_audit.ingest.staging import Stage
from fleet_audit.schema import reference
from fleet_audit.schema.derive import conform
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.integration.small_fleet import DEVICES

FIRST_LOOK = dt.datetime(2025, 6, 11, 8, 30, tzinfo=dt.UTC)
RUN_ID = "a-run"


@dataclass
class Arrivals:
    """Files dropped into an inbox, read hour by hour."""

    settings: Settings
    warehouse: Warehouse
    now: dt.datetime = field(default=FIRST_LOOK)
    warnings: list[str] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return Path(str(self.settings.inbox_url))

    @property
    def lake(self) -> Lake:
        return Lake(self.settings)

    def drop(self, name: str, content: bytes) -> None:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1e9, 1e9))  # older than any look: nothing here depends on the clock

    def open(self) -> Inbox:
        """The inbox itself."""
        return Inbox(str(self.inbox), self.settings)

    def read(self, inbox: Inbox | None = None, *, is_attended: bool = True) -> IngestSummary:
        """Reads what is new, an hour after the last time."""
        self.now += dt.timedelta(hours=1)
        return ingest_inbox(
            inbox or self.open(),
            self.lake,
            self.warehouse,
            self.settings,
            now=self.now,
            run_id=RUN_ID,
            is_attended=is_attended,
        )

    def stage(self) -> Stage:
        """The staging as of what was read."""
        files = ParsedFiles(self.lake, self.warehouse, self.settings, self.warnings.append)
        return Stage(files.lake, files.warehouse, RUN_ID, b"key", read_parsed=files.read)

    def counts(self, source: str) -> dict[dt.date, tuple[int, int, int, int]]:
        """(read, accepted, rejected, duplicate) of each day."""
        rows = self.warehouse.read(
            "select partition_date, rows_read, rows_accepted, rows_rejected, rows_duplicate from ops.stage_counts "
            "where source = :source",
            {"source": source},
        )
        return {row[0]: tuple(map(int, row[1:])) for row in rows.itertuples(index=False)}


@pytest.fixture
def arrivals(settings: Settings, postgres_url: str) -> Arrivals:
    """An empty inbox; two zones: the last of the small fleet's vehicles is an hour behind São Paulo."""
    warehouse = Warehouse(postgres_url)
    units = pd.DataFrame(
        {"unit_code": ["UCP", "UMS"], "name": ["A", "B"], "timezone": ["America/Sao_Paulo", "America/Campo_Grande"]}
    )
    vehicles = pd.DataFrame(
        {
            "plate": list(DEVICES), "fleet_number": None, "carrier_code": "UM", "contract_id": "CT-1",
            "unit_code": ["UCP", "UCP", "UCP", "UMS"], "vehicle_class": "onibus", "default_area": "IND", "seats": 46,
            "status": "ativo", "valid_from": dt.date(2025, 1, 1),
        }
    )  # fmt: skip
    carriers = pd.DataFrame({"carrier_code": ["UM"], "name": ["Transportadora Um"]})
    for table, rows in ((reference.UNITS, units), (reference.VEHICLES, vehicles), (reference.CARRIERS, carriers)):
        warehouse.replace_table(table, conform(rows, table))
    Path(str(settings.inbox_url)).mkdir()
    return Arrivals(settings, warehouse)
