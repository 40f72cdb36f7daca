from __future__ import annotations

import datetime as dt
import time

import pandas as pd
import pytest

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit_tests.formats.samples import TELEMETRY_HEADER, TELEMETRY_ROWS, changed, read, reasons, telemetry

ROW = TELEMETRY_ROWS[0]


def test_rows_become_positions():
    rows = read("telemetry", telemetry()).rows
    assert list(rows["recorded_at"]) == [pd.Timestamp("2025-06-10T09:04:35Z"), pd.Timestamp("2025-06-10T09:05:35Z")]
    assert list(rows["device_id"]) == ["23", "23"]
    assert list(rows["trip_key"].isna()) == [False, True], "a loose event is kept"
    assert list(rows["ignition"]) == [True, True]
    assert list(rows["passengers"].isna()) == [False, True]
    assert list(rows["speed_kmh"]) == [0, 40.5]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"c0": ""}, "missing_value"),
        ({"c1": "2025-06-10T06:04:35"}, "bad_timestamp"),
        ({"c1": "10/06/2025 06:04:35"}, "bad_timestamp"),
        ({"c1": "1970-01-01T00:00:00Z"}, "bad_timestamp"),
        ({"c1": "2025-02-30T00:00:00Z"}, "bad_timestamp"),
        ({"c1": "2025-06-11T03:05:01Z"}, "future_timestamp"),
        ({"c2": "onibus"}, "bad_vehicle_type"),
        ({"c3": "-1"}, "negative_value"),
        ({"c3": '"117279,4"'}, "bad_number"),
        ({"c3": ""}, "missing_value"),
        ({"c4": "-0.01"}, "negative_value"),
        ({"c5": "x"}, "bad_number"),
        ({"c7": "-90.1"}, "out_of_range"),
        ({"c8": "181"}, "out_of_range"),
        ({"c8": "nan"}, "bad_number"),
        ({"c9": "-1"}, "negative_value"),
        ({"c10": "talvez"}, "bad_flag"),
        ({"c12": "18.5"}, "bad_number"),
    ],
)
def test_a_bad_cell_rejects_its_row_only(cells: dict[str, str], code: str):
    row = ROW.split(",")
    for name, text in cells.items():
        row[int(name[1:])] = text
    parsed = read("telemetry", telemetry(",".join(row), TELEMETRY_ROWS[1]))
    assert reasons(parsed) == [(2, code)]
    assert parsed.rejected["raw"].iloc[0] == ",".join(row)
    assert len(parsed.rows) == 1


def test_five_minutes_ahead_is_accepted():
    assert len(read("telemetry", telemetry(changed(ROW, c1="2025-06-11T03:05:00Z"))).rows) == 1


def test_first_of_duplicates_is_kept():
    again = changed(ROW, c1="2025-06-10T09:04:35Z", c3="999999")
    parsed = read("telemetry", telemetry(ROW, again, changed(ROW, c6="V2")))
    assert (len(parsed.rows), parsed.rows_duplicate) == (2, 1)
    assert parsed.rows["odometer_km"].max() == 117279.4


def test_covered_days_are_those_of_sao_paulo():
    parsed = read("telemetry", telemetry(changed(ROW, c1="2025-06-10T02:59:00Z"), ROW))
    assert list(parsed.covered["date"]) == [dt.date(2025, 6, 9), dt.date(2025, 6, 10)]
    assert (parsed.first_date, parsed.last_date) == (dt.date(2025, 6, 9), dt.date(2025, 6, 10))


def test_optional_columns_may_be_absent_and_required_ones_may_not():
    header = ",".join(TELEMETRY_HEADER.split(",")[:7])
    parsed = read("telemetry", f"{header}\n{','.join(ROW.split(',')[:7])}\n".encode())
    assert parsed.rows["latitude"].isna().all()
    with pytest.raises(RejectedFile, match="Column viagemId is missing"):
        read("telemetry", f"{header}\n".replace(",viagemId", "").encode())


def test_full_file_is_read_in_time():
    rows = [
        changed(
            ROW,
            c0=f"d{i % 40}",
            c1=f"2025-06-10T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z",
            c2="urbano" if i % 10 else "trator",
        )
        for i in range(50_000)
    ]
    content = telemetry(*rows)
    read("telemetry", telemetry())
    started = time.process_time()
    parsed = read("telemetry", content)
    elapsed = time.process_time() - started
    assert (len(parsed.rows), parsed.rows_rejected) == (45_000, 5_000)
    assert elapsed < 2.5, "0.8 s of processor time when measured"
