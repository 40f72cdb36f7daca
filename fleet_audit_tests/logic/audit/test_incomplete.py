"""Days of files and of the API that are incomplete become one frame with a rule's source letters."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.logic.audit.incomplete import incomplete_sources
from fleet_audit.schema import facts
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit_sample import at
from fleet_audit_tests.logic.frames import rows

DAY, NEXT = dt.date(2025, 6, 10), dt.date(2025, 6, 11)
NO_GAPS = pd.DataFrame({"operational_date": [], "message": []})


def test_refused_files_and_unanswered_windows_are_incomplete_sources() -> None:
    files = rows(
        facts.INCOMPLETE_DAYS,
        {"operational_date": DAY, "source": "bulletin", "carrier_code": "CONLOG", "file_name": "boletim.csv",
         "reason_pt": "o boletim foi recusado", "run_id": "r", "updated_at": at("00:00")},
    )  # fmt: skip
    gaps = pd.DataFrame({"operational_date": [DAY, DAY], "message": ["x", "y"]})
    found = incomplete_sources(files, gaps)
    assert found[["operational_date", "source", "carrier_code"]].to_numpy().tolist() == [
        [DAY, "B", "CONLOG"],
        [DAY, "P", ""],
    ]
    assert found["reason_pt"].str.len().gt(0).all()


def test_of_a_file_that_names_vehicles_the_source_is_incomplete_for_these_alone() -> None:
    files = rows(
        facts.INCOMPLETE_DAYS,
        {"operational_date": DAY, "source": "telemetry", "carrier_code": "", "file_name": "b.csv",
         "reason_pt": "recusado", "plates": "AAA1A11,BBB1B11", "run_id": "r", "updated_at": at("00:00")},
    )  # fmt: skip
    found = incomplete_sources(files, NO_GAPS)
    assert found[["source", "carrier_code", "plate"]].to_numpy().tolist() == [
        ["P", "", "AAA1A11"],
        ["P", "", "BBB1B11"],
    ]


def test_refused_rows_are_distinguished_from_refused_files() -> None:
    refused = pd.DataFrame({
        "operational_date": [DAY], "source": ["bulletin"], "plate": ["AAA1A11"], "reason_pt": ["linhas recusadas"],
    })  # fmt: skip
    found = incomplete_sources(empty_frame(facts.INCOMPLETE_DAYS), NO_GAPS, refused)
    assert found[["source", "plate", "is_of_rows"]].to_numpy().tolist() == [["B", "AAA1A11", True]]


def test_rows_refused_on_a_day_that_the_report_calls_incomplete_weigh_as_a_refused_file() -> None:
    """From noon on an API wrote device_id as a number; rows of the next day that name no vehicle stay a detail, and so
    do single runs of a bulletin.
    """
    refused = pd.DataFrame(
        [(day, "api", plate, "linhas recusadas") for day in (DAY, NEXT) for plate in ("AAA1A11", "")]
        + [(NEXT, "bulletin", "AAA1A11", "linhas recusadas")],
        columns=["operational_date", "source", "plate", "reason_pt"],
    )
    acceptance = rows(
        facts.DAY_ACCEPTANCE,
        *({"operational_date": day, "source_kind": source, "rows_read": 100, "rows_accepted": 50, "rows_rejected": 50,
           "rows_duplicate": 0, "is_low": is_low, "run_id": "r", "updated_at": at("00:00")}
          for day, source, is_low in ((DAY, "api", True), (NEXT, "api", False), (NEXT, "bulletin", True))),
    )  # fmt: skip
    vehicles = pd.DataFrame({"operational_date": [DAY, NEXT] * 2, "plate": ["AAA1A11"] * 2 + ["BBB1B11"] * 2})
    found = incomplete_sources(empty_frame(facts.INCOMPLETE_DAYS), NO_GAPS, refused, acceptance, vehicles)
    found = found.sort_values(["operational_date", "is_of_rows"], kind="stable")
    assert found[["operational_date", "source", "plate", "is_of_rows"]].to_numpy().tolist() == [
        [DAY, "P", "AAA1A11", False],
        [DAY, "P", "BBB1B11", False],  # named by none: it is tested where it was observed all day
        [NEXT, "P", "AAA1A11", True],
        [NEXT, "B", "AAA1A11", True],
    ]


def test_without_either_nothing_is_incomplete() -> None:
    assert incomplete_sources(empty_frame(facts.INCOMPLETE_DAYS), NO_GAPS).empty
