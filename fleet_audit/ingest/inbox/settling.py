"""Settled files of the inbox: an earlier listing had them with the same stamp.

A sender's clock is not used: copied files keep times of years ago, other clocks are days ahead. Listing is in
`sources.inbox`; what is done with a settled file is decided by the sensor and by `ingestion`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from fleet_audit.ingest.inbox.known_files import names_with_stamp
from fleet_audit.schema.facts import INBOX_SIGHTINGS
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.warehouse import Warehouse


def settled_names(warehouse: Warehouse, files: Sequence[InboxFile], now: dt.datetime) -> set[str]:
    """Names of the files that an earlier look listed with the stamp of now; this look is recorded for the others."""
    settled = names_with_stamp(warehouse, INBOX_SIGHTINGS, files)
    changed = [file for file in files if file.name not in settled]
    if changed:
        sightings = pd.DataFrame(
            {
                "file_name": [file.name for file in changed],
                "stamp": [file.stamp for file in changed],
                "first_seen_at": now,
            }
        )
        warehouse.upsert(INBOX_SIGHTINGS, sightings)
    return settled
