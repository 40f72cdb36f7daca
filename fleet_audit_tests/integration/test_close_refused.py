"""What cannot be closed, or not yet, is one sentence that says why; what is closed already stays as it is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from fleet_audit.closing.code import code_version
from fleet_audit.closing.freezing import close_cycle
from fleet_audit.closing.scratch import fill, inputs_as_of
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.pages import compressed, page_folder
from fleet_audit.ingest.healing import set_aside
from fleet_audit.ingest.inbox.file_reader import FileReader, ingest_archived
from fleet_audit.ingest.incomplete.refused_files import refused_vehicle_days
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts
from fleet_audit.settings import load_settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.stores import Stores
from fleet_audit_tests.integration.installation import Installation, invoked
from fleet_audit_tests.integration.small_fleet import visit_report

MAY = cycle_of(dt.date(2025, 5, 16), 16)
ONE_DAY = dt.timedelta(days=1)


@pytest.fixture
def installation(tmp_path, postgres_url) -> Installation:
    (tmp_path / "home").mkdir()
    return Installation(tmp_path / "home", None, postgres_url)


def _stores(installation: Installation) -> Stores:
    settings = load_settings(home=str(installation.home), lake_url=str(installation.home / "lake"))
    return Stores(Lake(settings), installation.warehouse, settings)


def _computed(installation: Installation, cycle: Cycle, *, without: tuple[dt.date, ...] = ()) -> None:
    """Days that were computed to the end, and came to nothing."""
    for day in cycle_days(cycle):
        if day not in without:
            installation.warehouse.execute(
                "insert into ops.computed_days (operational_date, computed_at, code_version, run_id, updated_at) "
                "values (:day, now(), :code, 'r', now())",
                {"day": day, "code": code_version()},
            )


@pytest.mark.parametrize("command", [("close",), ("close", "--final")], ids=" ".join)
@pytest.mark.parametrize(
    "refused",
    [
        lambda today: (cycle_of(today, 16).start, f"can be closed .* from .* on; today is {today}"),
        lambda today: (cycle_of(today, 16).end + ONE_DAY, "can be closed .* from .* on"),
        lambda _: (dt.date(2025, 5, 17), "No cycle starts on 2025-05-17: .* the cycle that starts on 2025-05-16"),
        lambda _: (dt.date(2023, 5, 16), "lies before the first day that can be run .FLEET_START_DATE."),
    ],
    ids=["this cycle", "the next one", "not a first day", "before the first day of all"],
)
def test_a_close_that_cannot_be_is_one_sentence_and_leaves_nothing(installation, command, refused):
    start, sentence = refused(dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date())
    result = invoked(installation, *command, "--cycle", start)
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert re.search(sentence, line), line
    assert len(installation.query("select * from ops.cycle_closes")) == 0


def test_a_replay_of_an_open_cycle_explains_how_to_close_it(installation):
    result = invoked(installation, "replay", "--cycle", MAY.start)
    assert result.exit_code == 2
    assert "fleet-audit close --cycle 2025-05-16" in result.output


def test_a_final_close_of_days_that_fail_is_refused_and_names_what_failed(installation):
    """There is no reference data: no day can be computed."""
    result = invoked(installation, "close", "--cycle", "2023-12-16", "--final")
    assert result.exit_code == 1
    assert "running 2024-01-01 to 2024-01-15 again: it was never computed to the end" in result.output
    assert "FAILED         reference_tables: No reference data: reference/units.csv" in result.stdout
    assert len(installation.query("select * from ops.cycle_closes")) == 0


def test_a_final_close_names_each_day_that_is_not_ready(installation):
    """Asked for in the UI, where no day is run first."""
    missing, torn = MAY.start + 3 * ONE_DAY, MAY.start + 5 * ONE_DAY
    _computed(installation, MAY, without=(missing,))
    installation.warehouse.execute(
        "insert into fact.fixed_cost_days (operational_date, plate, contract_id, amount_brl, parameters_version, "
        "run_id, updated_at) values (:day, 'AAA1A11', 'C', 1, 'p', 'a-later-run', now())",
        {"day": torn},
    )
    stores, days = _stores(installation), cycle_days(MAY)
    with pytest.raises(PermanentError) as raised:
        close_cycle(stores, MAY, days, parameters_on, "run", is_final=True)
    assert f"{missing} (it was never computed to the end)" in str(raised.value)
    assert f"{torn} (a later run of it did not finish)" in str(raised.value)
    assert str(MAY.end) not in str(raised.value).split(":", 1)[1]
    assert len(installation.query("select * from ops.cycle_closes")) == 0
    record = close_cycle(stores, MAY, days, parameters_on, "run", is_final=False)
    manifest = json.loads(stores.lake.get_bytes(record["manifest_path"]))
    assert set(manifest["days_not_ready"]) == {str(missing), str(torn)}
    assert (record["status"], record["total_fixed_brl"]) == ("provisional", Decimal("1.00"))


def test_a_cycle_without_any_data_is_closed_with_totals_that_nobody_knows(installation):
    """Final without a provisional close before it; a provisional one after it changes nothing; twice neither."""
    _computed(installation, MAY)
    stores, days = _stores(installation), cycle_days(MAY)
    first = close_cycle(stores, MAY, days, parameters_on, "run", is_final=True)
    totals = ("total_km", "total_variable_brl", "total_fixed_brl")
    closes = installation.query("select * from ops.cycle_closes").to_dict("records")
    assert [[row[name] is None or row[name] != row[name] for name in totals] for row in closes] == [[True] * 3]
    for options in ((), ("--final",)):
        again = invoked(installation, "close", "--cycle", MAY.start, *options)
        assert again.exit_code == 0, again.output
        assert f"{MAY.start} to {MAY.end}: final" in again.output
        assert first["manifest_sha256"] in again.output
        assert again.output.count("no data") == 3
    assert installation.query("select * from ops.cycle_closes").to_dict("records") == closes
    runs = (installation.home / "dagster" / "history" / "runs").glob("*.db")
    assert {path.stem for path in runs} <= {"index"}  # nothing was run


def _incomplete(stores: Stores) -> list[dict]:
    rows = refused_vehicle_days(stores, Reference.of({}), [MAY.start])
    return rows[["source", "file_name", "reason_pt"]].to_dict("records")


def test_a_replay_and_a_what_if_refuse_again_what_was_refused(installation, tmp_path):
    """A rule that was not tested for a refused file is not tested when the cycle is computed elsewhere.

    Also where the bytes are gone: they could not be read, or were damaged in the archive and set aside.
    """
    source, content, at = _stores(installation), b"no workbook", dt.datetime.now(dt.UTC)
    for day in (MAY.start, MAY.end + 60 * ONE_DAY):
        name = f"bulletins/boletim_{day}.xlsx"
        ingest_archived(source.lake, source.warehouse, source.settings, "bulletin", name, content + name.encode(), at)
    damaged = f"visit_reports/{MAY.start}.csv"
    ingest_archived(source.lake, source.warehouse, source.settings, "visit_report", damaged, visit_report({}), at)
    of_damaged = "select * from ops.ingested_files where file_name = :name"
    [entry] = source.warehouse.read(of_damaged, {"name": damaged}).to_dict("records")
    source.lake.put_bytes(entry["archive_path"], b"what a broken disk left")
    set_aside(source.lake, source.warehouse, entry, "It is damaged. Send the file again.")
    unreadable = InboxFile("bulletin", f"bulletins/{MAY.start}.csv", 0, at)
    reader = FileReader(Inbox(str(tmp_path), source.settings), source.lake, source.warehouse, source.settings, at, "r")
    reader.record([reader.refuse_unread(unreadable, PermanentError("It cannot be read."))])
    _computed(installation, MAY)
    record = close_cycle(source, MAY, cycle_days(MAY), parameters_on, "run", is_final=True)
    frozen = json.loads(source.lake.get_bytes(record["manifest_path"]))["inputs"]["files"]
    assert {file["name"] for file in frozen} == {f"bulletins/boletim_{MAY.start}.xlsx", damaged, unreadable.name}
    files = inputs_as_of(source, dt.datetime.now(dt.UTC))[0]
    assert len(files) == 4

    known = _incomplete(source)
    assert len(known) == 3
    elsewhere = load_settings(home=str(tmp_path / "scratch"), lake_url=str(tmp_path / "scratch"))
    scratch = Stores(Lake(elsewhere), source.warehouse, elsewhere)  # its warehouse is emptied in place
    for inputs in (frozen, files):
        source.warehouse.execute("delete from ops.ingested_files", {})
        assert _incomplete(source) == []
        fill(scratch, source, inputs, [], pd.DataFrame())
        assert _incomplete(scratch) == known
        fill(scratch, source, inputs, [], pd.DataFrame())  # what is there stays
        assert len(source.warehouse.read_table(facts.INGESTED_FILES)) == len(inputs)


OTHER_PAGE = compressed(b'{"data":[],"next_cursor":"x"}').to_pybytes()


@pytest.mark.parametrize("content", [OTHER_PAGE, b"no zstd frame", b""], ids=["other", "torn", "empty"])
def test_a_page_of_the_api_that_is_not_what_was_received_is_named(installation, tmp_path, content):
    source = _stores(installation)
    body = b'{"data":[],"next_cursor":null}'
    path = f"{page_folder(MAY.start)}/{hashlib.sha256(body).hexdigest()}.json.zst"
    elsewhere = load_settings(home=str(tmp_path / "scratch"), lake_url=str(tmp_path / "scratch"))
    scratch = Stores(Lake(elsewhere), source.warehouse, elsewhere)
    source.lake.put_bytes(path, compressed(body))
    fill(scratch, source, [], [path], pd.DataFrame())
    assert scratch.lake.exists(path)
    source.lake.put_bytes(path, content)
    with pytest.raises(PermanentError, match="is not what was received") as raised:
        fill(scratch, source, [], [path], pd.DataFrame())
    assert path in str(raised.value)
