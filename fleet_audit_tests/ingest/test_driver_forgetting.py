"""A forgotten driver: the name is nowhere but in the archived bytes, and does not come back with them."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.driver_forgetting import forget_again, forget_driver
from fleet_audit.ingest.driver_names import FORGOTTEN, forgotten_drivers, with_pseudonyms
from fleet_audit.ingest.source_rows import rows_of_files
from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import REJECTED_ROWS
from fleet_audit.schema.reference import DRIVERS
from fleet_audit_tests.ingest.conftest import Arrivals
from fleet_audit_tests.integration.small_fleet import DAY, PAID, to_work, visit_report

KEY = b"fleet-audit"
BY_NAME, BY_ID = driver_pseudonym("Maria Souza", KEY), driver_pseudonym("M7", KEY)
NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)


def _report(km: str) -> bytes:
    return visit_report({PAID: [to_work(km)]}, DAY).decode().replace(",Unknown,", ",Maria Souza,").encode()


def _forget(arrivals: Arrivals, text: str, *, is_dry_run: bool = False):
    return forget_driver(
        arrivals.lake, arrivals.warehouse, KEY, text, reason="pedido do titular", now=NOW, is_dry_run=is_dry_run
    )


def _stored(arrivals: Arrivals) -> dict[str, object]:
    """Everything outside the archived bytes in which a name could stand."""
    journal = [arrivals.lake.get_bytes(path).decode("latin-1") for path in arrivals.lake.list("raw/journal")]
    parsed = [arrivals.lake.read_table(path, DRIVERS).to_csv() for path in arrivals.lake.list("parsed/drivers")]
    rejected = arrivals.warehouse.read("select raw from ops.rejected_rows", {})["raw"].to_list()
    return {
        "journal": journal, "parsed": parsed, "rejected": rejected,
        "drivers": arrivals.warehouse.read_table(DRIVERS).to_csv(),
    }  # fmt: skip


@pytest.fixture
def registered(arrivals) -> pd.DataFrame:
    """Maria, registered as M7 for maintenance, in a report and in a row that could not be read; and Ana."""
    rows = conform(
        pd.DataFrame({"driver_id": ["M7", "M8"], "name": ["Maria Souza", "Ana Lima"], "carrier_code": "UM",
                      "is_maintenance": [True, False]}),
        DRIVERS,
    )  # fmt: skip
    arrivals.lake.write_table("parsed/drivers/abc.parquet", rows, DRIVERS)
    arrivals.warehouse.upsert(DRIVERS, with_pseudonyms(rows, KEY))
    rejected = {column.name: "x" for column in REJECTED_ROWS.columns} | {"row_number": 1, "raw": "9;MARIA  SOUZA;ontem"}
    arrivals.warehouse.upsert(REJECTED_ROWS, conform(pd.DataFrame([rejected]), REJECTED_ROWS))
    arrivals.drop("visit_reports/a.csv", _report("11.20"))
    arrivals.read()
    return rows


@pytest.mark.parametrize("text", ["maria  souza", "M7", BY_NAME, BY_ID])
def test_the_name_is_stored_nowhere_and_does_not_come_back(arrivals, registered, text):
    foreseen = _forget(arrivals, text, is_dry_run=True)
    assert "Maria Souza" in str(_stored(arrivals))
    assert _forget(arrivals, text) == foreseen
    assert foreseen.pseudonyms == {BY_NAME, BY_ID}
    assert (foreseen.rejected_rows, foreseen.parsed_files) == (1, 1)
    arrivals.drop("visit_reports/b.csv", _report("12.20"))
    arrivals.read()
    stored = str(_stored(arrivals))
    assert "maria" not in stored.lower()
    assert "M7" not in str(_stored(arrivals)["drivers"])
    assert "Ana Lima" in stored
    (entry,) = arrivals.lake.list("raw/journal/forgotten_drivers")
    assert "pedido do titular" in arrivals.lake.get_bytes(entry).decode()
    assert arrivals.stage().visit_legs(DAY)["driver_id"].to_list() == [BY_NAME]  # facts keep the pseudonym


def test_a_new_delivery_of_the_reference_table_and_a_rebuild_keep_it_forgotten(arrivals, registered):
    _forget(arrivals, "M7")
    forgotten = forgotten_drivers(arrivals.warehouse)
    again = with_pseudonyms(registered, KEY, forgotten).set_index("driver_id")
    assert set(again["name"]) == {FORGOTTEN, "Ana Lima"}
    assert again.loc[[BY_NAME, BY_ID], "is_maintenance"].all()  # else the trips of these days would be paid
    parsed = arrivals.lake.read_table("parsed/drivers/abc.parquet", DRIVERS)
    assert with_pseudonyms(parsed, KEY, forgotten).set_index("driver_id").loc[[BY_NAME, BY_ID], "is_maintenance"].all()
    arrivals.warehouse.execute("truncate ref.drivers")
    forget_again(arrivals.lake, arrivals.warehouse)
    assert forgotten_drivers(arrivals.warehouse) == forgotten


def test_a_dossier_shows_the_pseudonym_in_the_row_as_received(arrivals, registered):
    _forget(arrivals, "Maria Souza")
    sha256 = arrivals.warehouse.read("select file_sha256 from ops.ingested_files", {})["file_sha256"].iloc[0]
    rows = rows_of_files(arrivals.lake, arrivals.warehouse, [(sha256, number) for number in range(1, 20)], KEY)
    text = " ".join(row.text for row in rows if row.text)
    assert BY_NAME in text
    assert "Maria" not in text


def test_who_is_not_known_is_not_forgotten(arrivals, registered):
    with pytest.raises(PermanentError, match="No driver is known by that text"):
        _forget(arrivals, "Pedro")
