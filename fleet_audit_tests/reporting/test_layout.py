"""The company's layout file: what it changes in every format, and the sentence that refuses a wrong one."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import openpyxl
import pytest
from PIL import Image

from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.documents.day import DayReport, build_day
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.formats.package_files import render_package
from fleet_audit.reporting.formats.render import render_day
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.trip_lines import FIELDS
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, fleet

# A grey square of two by two pixels.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR42mNoaGBoaAAABgYCATGpHqEAAAAASUVORK5CYII="
)


def report(path: Path) -> DayReport:
    return build_day(fleet(2), operational_date=DAY, generated_at=GENERATED_AT, layout=load_layout(path))


def written(folder: Path, text: str) -> Path:
    path = folder / "layout.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_changes_name_logo_title_and_order_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(PNG)
    labels = [entry.label for entry in reversed(FIELDS)]
    listed = ", ".join(f'"{label}"' for label in labels)
    path = written(
        tmp_path, f'company = "Usina & Filhos"\nlogo = "logo.png"\n[d1]\ntitle = "Diário"\ntrips = [{listed}]'
    )
    made = report(path)
    files = render_day(made)
    page, book = files["d1.html"].decode(), openpyxl.load_workbook(io.BytesIO(files["d1.xlsx"]))
    assert files["d1.csv"].decode("utf-8-sig").splitlines()[0].split(",") == labels
    assert [cell.value for cell in book["Viagens"][1]] == labels
    assert "Usina &amp; Filhos" in page
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in page
    assert made.document.title == "Diário"
    assert len(book["Resumo"]._images) == 1


def test_what_a_file_leaves_out_stays_as_shipped(tmp_path: Path) -> None:
    layout, standard = load_layout(written(tmp_path, 'company = "Usina"')), load_layout()
    assert (layout.company, standard.company) == ("Usina", "")
    assert layout.title("cycle") == standard.title("cycle")
    assert layout.arranged("d1", "trips", FIELDS) == FIELDS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("titel = 'x'", "titel is not part of a layout"),
        ("[d1]\ncolour = 'x'", r"\[d1\] colour is not part of a layout; known here: title, trips"),
        ("company = 3", "company must be a text"),
        ("d1 = 'x'", "d1 must be a section"),
        ("[d1]\ntrips = ['Data', 'Data']", "missing: Unidade.*repeated: Data"),
        ("company = ", "is not TOML"),
        ("logo = 'nowhere.png'", "nowhere.png cannot be read"),
        ("logo = 'layout.toml'", "must be a whole PNG or JPEG"),
        ("logo = 'script.svg'", "must be a whole PNG or JPEG"),
        ("logo = 'cut.png'", "must be a whole PNG or JPEG"),
        ("logo = 'bomb.png'", "4,000 pixels a side"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "script.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (tmp_path / "cut.png").write_bytes(PNG[:-20])
    Image.new("1", (5_000, 5_000)).save(tmp_path / "bomb.png")  # 4 kB that are 100 MB as colours
    with pytest.raises(PermanentError, match=sentence):
        report(written(tmp_path, text))


def test_a_large_logo_is_no_larger_than_the_heading(tmp_path: Path) -> None:
    Image.new("RGB", (4_000, 1_000), "navy").save(tmp_path / "logo.png")
    layout = load_layout(written(tmp_path, 'logo = "logo.png"\ncompany = "Usina"\n[package]\ntitle = "Medição"'))
    made = build_package(Frames(), cycle=Cycle(DAY, DAY), generated_at=GENERATED_AT, layout=layout)
    book = openpyxl.load_workbook(io.BytesIO(render_package(made)["pacote_medicao.xlsx"]))
    assert [len(sheet._images) for sheet in book] == [1] * len(book.sheetnames)
    extent = book.worksheets[0]._images[0].anchor
    assert extent.to.row - extent._from.row <= 5
    assert book.worksheets[0]["A1"].value == "Usina · Medição"


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"none\.toml .*cannot be read: No such file"):
        load_layout(tmp_path / "none.toml")
