"""No bytes whatever end in anything but rows or one sentence, and every row read is accounted for."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.formats.parsed import ParsedFile, RejectedFile
from fleet_audit.formats.reasons import REASONS
from fleet_audit.schema.derive import to_arrow
from fleet_audit.schema.lake import PARSED_DECLARED_RUNS, PARSED_NOTES, PARSED_POSITIONS, PARSED_VISIT_LEGS
from fleet_audit.schema.reference import DRIVERS, VEHICLES
from fleet_audit_tests.formats import samples

SHIFTS = b"unit_code,shift_code,start_local,end_local,weekdays,tolerance_min\nU,A,07:00,15:20,1-7,90\n"
POIS = (
    b"poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,address_pattern,valid_from,valid_to\n"
    b'P1,U,Nome,usina,-22.5,-52.1,100,"POLYGON ((-52 -22, -51 -22, -51 -21, -52 -22))",,2025-01-01,\n'
)
SAMPLES = {
    "bulletin": ("bulletin", "b.csv", samples.bulletin()),
    "workbook": (
        "bulletin",
        "b.xlsx",
        samples.workbook([row.split(",") for row in (samples.BULLETIN_HEADER, samples.BULLETIN_ROWS[0])]),
    ),
    "visit report": ("visit_report", "v.csv", samples.VISIT.encode()),
    "visit workbook": ("visit_report", "v.xlsx", samples.workbook(list(csv.reader(io.StringIO(samples.VISIT))))),
    "telemetry": ("telemetry", "t.csv", samples.telemetry()),
    "vehicles": ("reference", "vehicles.csv", samples.VEHICLES.encode()),
    "shifts": ("reference", "shifts.csv", SHIFTS),
    "pois": ("reference", "pois.csv", POIS),
}
TABLES = {"bulletin": PARSED_DECLARED_RUNS, "visit_report": PARSED_VISIT_LEGS, "telemetry": PARSED_POSITIONS}
PIECES = [
    b'"',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"-",
    b"9" * 40,
    b"1e999",
    b"nan",
    b"\xef\xbb\xbf",
    b"31/02/2025",
    b"00:00",
    b"\xe2\x80\xa8",
    b"''",
    b"Totais",
    b"\t",
    b"25:61:61",
    "١٢".encode(),
    b"99999999999999999999",
    b"10/06/2025",
    b"0000-00-00",
    b"POLYGON ((",
    b"Data de sa\xc3\xadda",
]
NASTY = st.sampled_from(PIECES)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to five pieces inserted, cut out, overwritten or doubled."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        span = draw(st.integers(0, 40))
        piece = draw(NASTY | st.binary(max_size=8))
        match draw(st.sampled_from(["insert", "cut", "overwrite", "double"])):
            case "insert":
                data[at:at] = piece
            case "cut":
                del data[at : at + span]
            case "overwrite":
                data[at : at + len(piece)] = piece
            case _:
                data[at:at] = data[at : at + span * 5]
    return bytes(data)


def check(parsed: ParsedFile, kind: str) -> None:
    assert parsed.rows_read == len(parsed.rows) + parsed.rows_rejected + parsed.rows_duplicate
    counts = ["rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"]
    if len(parsed.days):
        assert parsed.days[counts].sum().to_list() == [
            parsed.rows_read, len(parsed.rows), parsed.rows_rejected, parsed.rows_duplicate]  # fmt: skip
    assert kind == "reference" or not len(parsed.rows) or len(parsed.days)
    assert set(parsed.rejected["reason_code"]) <= set(REASONS)
    assert not parsed.rejected.duplicated(["row_number", "reason_code"]).any()
    assert "\x00" not in parsed.rejected.to_csv()
    assert parsed.message.strip()
    if kind in TABLES:
        to_arrow(parsed.rows, TABLES[kind])
    to_arrow(parsed.notes, PARSED_NOTES)
    to_arrow(parsed.drivers, DRIVERS)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_samples_are_valid(name: str):
    kind, file_name, content = SAMPLES[name]
    parsed = samples.read(kind, content, file_name)
    assert parsed.status == "accepted"
    assert len(parsed.rows)
    check(parsed, kind)


@pytest.mark.parametrize("name", list(SAMPLES))
@settings(max_examples=samples.examples(30))
@given(data=st.data())
def test_mutated_files_are_read_or_refused(name: str, data: st.DataObject):
    kind, file_name, content = SAMPLES[name]
    try:
        parsed = samples.read(kind, data.draw(mutated(content)), file_name)
    except RejectedFile:
        return
    check(parsed, kind)
    if name == "vehicles":
        to_arrow(parsed.rows, VEHICLES)


@pytest.mark.parametrize("kind", ["bulletin", "visit_report", "telemetry"])
@settings(max_examples=samples.examples(25))
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(kind: str, content: bytes):
    with pytest.raises(RejectedFile):
        samples.read(kind, content)


PAGE = b'{"data": [{"device_id": "23", "timestamp": "2025-06-10T09:04:35Z", "latitude": -22.5, "passengers": 3}, {}]}'


@settings(max_examples=samples.examples(60))
@given(data=st.data())
def test_mutated_pages_are_read_or_refused(data: st.DataObject):
    try:
        page = parse_page(data.draw(mutated(PAGE)))
    except RejectedFile:
        return
    rows = page.positions.to_pandas()
    to_arrow(rows.assign(source="api", file_sha256="s", file_name="page"), PARSED_POSITIONS)
    assert not set(rows["row_number"]) & set(page.rejected["row_number"])
    assert page.rows == len(rows) + page.rejected["row_number"].nunique()


def fuzz(rounds: int, seed: int) -> Counter[str]:
    """Reads so many mutations of each sample, of workbooks also of their parts; counts by sample and outcome.

    The long search by hand; `python -c "from … import fuzz; print(fuzz(100, 1))"`.
    """
    chance, counts = random.Random(seed), Counter[str]()
    for name, (kind, file_name, content) in SAMPLES.items():
        for number in range(rounds):
            is_part = file_name.endswith("xlsx") and number % 4
            made = _with_mutated_part(content, chance) if is_part else _mutated(content, chance)
            try:
                parsed = samples.read(kind, made, file_name)
            except RejectedFile:
                counts[f"{name}: refused"] += 1
                continue
            check(parsed, kind)
            counts[f"{name}: read"] += 1
            counts["rows"] += parsed.rows_read
    return counts


def _mutated(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        at, span = chance.randint(0, len(data)), chance.randint(0, 40)
        piece = chance.choice([*PIECES, chance.randbytes(chance.randint(0, 8))])
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = piece
        elif kind == 1:
            del data[at : at + span]
        elif kind == 2:
            data[at : at + len(piece)] = piece
        else:
            data[at:at] = data[at : at + span * 5]
    return bytes(data)


def _with_mutated_part(content: bytes, chance: random.Random) -> bytes:
    """A workbook whose archive is sound and one of whose parts is not."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    chosen = chance.choice(source.namelist())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as book:
        for name in source.namelist():
            part = source.read(name)
            book.writestr(name, _mutated(part, chance) if name == chosen else part)
    return target.getvalue()


def test_mutated_files_and_parts_of_workbooks_are_read_or_refused():
    counts = fuzz(4, seed=1)
    assert sum(count for name, count in counts.items() if name != "rows") == 4 * len(SAMPLES)
