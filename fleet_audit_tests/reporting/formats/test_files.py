"""The files themselves: columns, types, safety of texts, equal bytes, nothing loaded from elsewhere."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.document_model import Card, Document, Field, Grid, Kind, Section
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.documents.day import DayReport, build_day
from fleet_audit.reporting.formats.csv import csv_parts, grid_csv, texts_csv
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.formats.pdf import document_pdf, first_page
from fleet_audit.reporting.formats.render import render_day
from fleet_audit.reporting.formats.xlsx import TEXT_LIMIT, Workbook, document_workbook
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, fleet

CONTRACT = [
    "Data", "Unidade", "Transportadora", "Placa", "Frota", "Tipo de Veículo", "Motorista", "Turno", "Área", "Origem",
    "Destino", "Saída", "Chegada", "Km Telemetria", "Km Declarado", "Diferença (km)", "Diferença (%)",
    "Tarifa (R$/km)", "Custo Variável (R$)", "Flags", "Grau de Evidência", "Score",
]  # fmt: skip
EVIL = ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\tTab", "\rReturn"]


def report(frames: Frames) -> DayReport:
    return build_day(frames, operational_date=DAY, generated_at=GENERATED_AT)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return fleet(20)


@pytest.fixture(scope="module")
def files(frames: Frames) -> dict[str, bytes]:
    return render_day(report(frames))


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def sheet_of(data: bytes, name: str):
    return openpyxl.load_workbook(io.BytesIO(data))[name]


def test_four_files_with_the_names_of_the_contract(files: dict[str, bytes]) -> None:
    assert list(files) == ["d1.csv", "d1.xlsx", "d1.html", "d1.pdf"]
    assert files["d1.pdf"].startswith(b"%PDF")


def test_csv_has_the_columns_in_order_and_brazilian_values(files: dict[str, bytes]) -> None:
    assert files["d1.csv"].startswith(b"\xef\xbb\xbf")
    header, *rows = rows_of(files["d1.csv"])
    assert header == CONTRACT
    for row in rows:
        assert re.fullmatch(r"\d\d/\d\d/\d{4}", row[0])
        assert re.fullmatch(r"\d\d/\d\d/\d{4} \d\d:\d\d", row[11])
        assert re.fullmatch(r"\d+,\d\d", row[13])
        assert re.fullmatch(r"|[+-]?\d+,\d\d", row[15])


def test_xlsx_opens_on_the_summary_and_lists_trips_with_real_types(files: dict[str, bytes]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(files["d1.xlsx"]))
    assert book.sheetnames == ["Resumo", "Viagens", "Incidentes", "Achados", "Retidas", "Cobertura"]
    trips = book["Viagens"]
    header, *rows, total = trips.iter_rows(values_only=True)
    assert list(header) == CONTRACT
    assert total[0] == "Total"
    assert len(rows) == len(rows_of(files["d1.csv"])) - 1
    for row in rows:
        assert isinstance(row[0], dt.datetime)
        assert isinstance(row[11], dt.datetime)
        assert all(value is None or isinstance(value, (int, float)) for value in row[13:19])
        assert isinstance(row[4], str)  # a fleet number is a name
    assert trips.freeze_panes == "A2"
    assert next(iter(trips.tables.values())).autoFilter is not None


def test_headline_of_the_workbook_is_numbers(frames: Frames, files: dict[str, bytes]) -> None:
    figures = report(frames).figures
    values = {row[0]: row[1] for row in sheet_of(files["d1.xlsx"], "Resumo").iter_rows(values_only=True) if row[0]}
    assert values["Gasto do dia"] == pytest.approx(float(figures.total_brl))
    assert values["Viagens"] == figures.trips


def test_texts_never_become_formulas(frames: Frames) -> None:
    named = replace(frames, carriers=frames.carriers.assign(name=EVIL[:4]), units=frames.units.assign(name=EVIL[3:]))
    made = report(named)
    cells = [cell for row in sheet_of(document_workbook(made.document), "Viagens").iter_rows(min_row=2)
             for cell in row[1:3]]  # fmt: skip
    assert {cell.data_type for cell in cells} == {"s"}
    printed = {text for row in rows_of(grid_csv(made.trips))[1:] for text in row[1:3]}
    assert printed == {"'" + text for text in EVIL}


def test_negative_differences_stay_numbers_in_the_csv(files: dict[str, bytes]) -> None:
    differences = [row[15] for row in rows_of(files["d1.csv"])[1:] if row[15].startswith("-")]
    assert differences
    assert all(float(value.replace(",", ".")) < 0 for value in differences)


def test_markup_in_names_is_text(frames: Frames) -> None:
    evil = '<img src=x onerror=alert(1)>"&#[*bold*] $x$ \\'
    named = replace(frames, units=frames.units.assign(name=evil), carriers=frames.carriers.assign(name=evil),
                    pois=frames.pois.assign(name=evil))  # fmt: skip
    made = render_day(report(named))
    page = made["d1.html"].decode()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert made["d1.pdf"].startswith(b"%PDF")


def test_page_loads_nothing_from_elsewhere(files: dict[str, bytes]) -> None:
    page = files["d1.html"].decode()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", page)
    assert not re.findall(r"@import|url\(|<link|<iframe", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "default-src 'none'" in page


def test_page_reads_without_scripts_and_names_its_language(files: dict[str, bytes]) -> None:
    page = files["d1.html"].decode()
    body = page[: page.index("<script")]
    assert '<html lang="pt-BR">' in page
    assert "<caption>Viagens</caption>" in body
    assert all(f">{label}</th>" in body for label in CONTRACT)


def test_a_sentence_is_marked_for_a_line_of_its_own_on_a_phone(files: dict[str, bytes]) -> None:
    page = files["d1.html"].decode()
    incidents = page[page.index('id="incidents"') : page.index('id="findings"')]
    assert re.search(r'<th scope="col" class="t"[^>]*>Explicação</th>', incidents)
    assert re.search(r'<td class="t">[^<]*\u00a0km [^<]*</td>', incidents)
    assert "td.t { grid-column: 1 / -1; }" in page


def test_equal_input_gives_equal_bytes(frames: Frames, files: dict[str, bytes]) -> None:
    shuffled = replace(frames, trips=frames.trips.sample(frac=1, random_state=1),
                       findings=frames.findings.sample(frac=1, random_state=2),
                       coverage=frames.coverage.sample(frac=1, random_state=3))  # fmt: skip
    assert render_day(report(shuffled)) == files


def test_empty_day_makes_all_four_files() -> None:
    made = render_day(report(Frames()))
    assert rows_of(made["d1.csv"]) == [CONTRACT]
    trips = sheet_of(made["d1.xlsx"], "Viagens")
    assert [list(row) for row in trips.iter_rows(values_only=True)] == [CONTRACT]
    assert "Nenhuma viagem neste dia." in made["d1.html"].decode()
    assert "SEM DADO NESTE DIA" in made["d1.html"].decode()
    assert made["d1.pdf"].startswith(b"%PDF")


def test_text_too_long_for_a_cell_is_cut_visibly(frames: Frames) -> None:
    findings = frames.findings.assign(evidence="x" * (TEXT_LIMIT + 1))
    made = document_workbook(report(replace(frames, findings=findings)).document)
    row = next(sheet_of(made, "Achados").iter_rows(min_row=2, values_only=True))
    assert len(row[-1]) == TEXT_LIMIT
    assert row[-1].endswith("[texto cortado]")


def test_lists_too_long_say_how_many_are_left_out_and_where_they_are(frames: Frames) -> None:
    made = report(frames)
    trips = next(section for section in made.document.sections if section.key == "trips")
    long = replace(trips, page_rows=7, print_rows=7)
    document = replace(made.document, sections=(long,))
    left_out = len(made.trips.rows) - 7
    rows, note = long.cut(7)
    assert len(rows) == 7
    assert note == f"Mostrando 7 de {len(made.trips.rows)} linhas; as outras {left_out} estão na planilha, aba Viagens."
    page = document_page(document).decode()
    assert note in page
    assert page.count("<tr>") == 8  # the header's, and those shown
    assert len(rows_of(grid_csv(made.trips))) == len(made.trips.rows) + 1


def test_a_list_longer_than_a_sheet_goes_on_in_the_next(frames: Frames) -> None:
    made = report(frames)
    book = Workbook("Viagens", GENERATED_AT)
    book.data_sheets("Viagens", made.trips, most_rows=40)
    read = openpyxl.load_workbook(io.BytesIO(book.to_bytes()))
    rows = len(made.trips.rows)
    assert read.sheetnames == ["Viagens", *(f"Viagens ({part})" for part in range(2, -(-rows // 40) + 1))]
    assert sum(sheet.max_row - 2 for sheet in read) == rows  # less header and sums
    assert {sheet["A1"].value for sheet in read} == {"Data"}


@pytest.mark.parametrize(("name", "columns"), [("Viagens", "$D:$E"), ("Incidentes", "$C:$C"), ("Achados", "$D:$D")])
def test_a_sheet_that_prints_on_several_pages_across_names_the_vehicle_on_each(
    files: dict[str, bytes], name: str, columns: str
) -> None:
    sheet = sheet_of(files["d1.xlsx"], name)
    assert sheet.page_setup.fitToWidth > 1
    assert sheet.print_title_cols == columns


def test_csv_in_parts_is_the_csv_in_one() -> None:
    rows = [[str(number), "ação"] for number in range(25)]
    assert b"".join(csv_parts(rows, rows_a_part=10)) == texts_csv(rows)
    assert len(list(csv_parts(rows, rows_a_part=10))) == 3


def test_sums_follow_the_filters_and_carry_their_value(files: dict[str, bytes]) -> None:
    column = CONTRACT.index("Km Telemetria")
    formulas = list(sheet_of(files["d1.xlsx"], "Viagens").iter_rows(values_only=True))
    values = list(openpyxl.load_workbook(io.BytesIO(files["d1.xlsx"]), data_only=True)["Viagens"].values)
    assert formulas[-1][column] == f"=SUBTOTAL(109,N2:N{len(values) - 1})"
    assert values[0][column] == CONTRACT[ord("N") - ord("A")]
    assert values[-1][column] == pytest.approx(sum(row[column] for row in values[1:-1]))


def test_the_first_sheet_has_the_notes_of_other_sheets_and_prints_no_smaller_than_seven_points(
    frames: Frames,
) -> None:
    cycle = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
    document = build_cycle(frames, cycle=cycle, generated_at=GENERATED_AT).document
    sheet = sheet_of(document_workbook(document), "Resumo")
    notes = {row[0].value: row[1].value for row in sheet.iter_rows(max_col=2)}
    assert notes["Amostra"].startswith("Amostragem por unidade monetária")
    first, last = openpyxl.utils.cell.range_boundaries(sheet.print_area.split("!")[1])[::2]
    width = sum(sheet.column_dimensions[openpyxl.utils.get_column_letter(at)].width for at in range(first, last + 1))
    across = sheet.page_setup.fitToWidth
    letters = width + (across - 1) * sheet.column_dimensions["A"].width  # which is repeated
    assert 10 * 138 * across / letters >= 7  # of 138 letters across a page at 10 points


def test_a_sentence_on_the_first_sheet_has_room_beside_the_next_column(frames: Frames) -> None:
    """Columns of one width cut the reasons of rules that were not tested where the next cell had a text."""
    reason = "equipamento sem posições neste dia, e sem leituras de hodômetro"
    untested = pd.DataFrame({"rule_id": ["D05"], "scope": "day", "operational_date": DAY, "reason_pt": reason})
    made = render_day(report(replace(frames, rules_not_tested=untested)))
    sheet = sheet_of(made["d1.xlsx"], "Resumo")
    (cell,) = [cell for row in sheet.iter_rows() for cell in row if cell.value == reason]
    (span,) = [span for span in sheet.merged_cells.ranges if cell.coordinate in span]
    letters = [openpyxl.utils.get_column_letter(column) for column in range(span.min_col, span.max_col + 1)]
    assert sum(sheet.column_dimensions[letter].width for letter in letters) >= len(reason)
    assert sheet.cell(cell.row, span.max_col + 1).value.startswith("Conferir")


def test_a_number_stays_beside_its_unit_on_page_and_paper_and_the_csv_has_plain_spaces(frames: Frames) -> None:
    findings = frames.findings.assign(explanation_pt="Rodou 26,70 km, 12 % a mais, em 40 min: R$ 130,83.")
    made = render_day(report(replace(frames, findings=findings)))
    kept = "Rodou 26,70\u00a0km, 12\u00a0% a mais, em 40\u00a0min: R$\u00a0130,83."
    assert kept in made["d1.html"].decode()
    assert "\u00a0" not in grid_csv(Grid((Field("text", "Texto"),), ((kept,),))).decode()


@pytest.mark.skipif(shutil.which("pdftohtml") is None, reason="pdftohtml reads the bookmarks of a file")
def test_parts_of_the_pdf_are_bookmarks(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "d1.pdf"
    path.write_bytes(files["d1.pdf"])
    text = subprocess.run(["pdftohtml", "-xml", "-i", "-stdout", path], capture_output=True, check=True).stdout.decode()
    titles = re.findall(r"<item[^>]*>([^<]+)</item>", text[text.index("<outline>") :])
    assert titles[:3] == ["Comparação", "Por unidade", "Por transportadora"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium lays the page out")
@pytest.mark.parametrize("width", [768, 1000])
def test_no_table_of_the_page_ends_beyond_the_edge_of_a_tablet(
    files: dict[str, bytes], tmp_path: Path, width: int
) -> None:
    beyond = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    page = tmp_path / "d1.html"
    page.write_bytes(files["d1.html"] + f"<script>document.title = 'beyond: ' + {beyond}</script>".encode())
    browser = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*browser, f"--window-size={width},1024", "--dump-dom", page.as_uri()], capture_output=True, check=True
    ).stdout.decode()
    assert "<title>beyond: 0</title>" in shown


def test_names_beyond_latin_1_reach_all_four_files(frames: Frames) -> None:
    name = "Транспорт Ωmega 運輸 😀"
    made = render_day(report(replace(frames, carriers=frames.carriers.assign(name=name))))
    assert name in made["d1.csv"].decode("utf-8-sig")
    assert name in made["d1.html"].decode()
    assert sheet_of(made["d1.xlsx"], "Viagens")["C2"].value == name
    assert made["d1.pdf"].startswith(b"%PDF")
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-", "-"], input=made["d1.pdf"], capture_output=True, check=True).stdout
        assert "Ωmega □□" in text.decode()
        assert "□ está no lugar de um caractere que o papel não tem" in text.decode()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the words of a page")
def test_no_column_of_the_pdf_runs_into_the_next_one(frames: Frames) -> None:
    """Thirteen columns shared the page by their usual widths, and dates and plates were wider than their share."""
    cycle = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
    made = document_pdf(build_cycle(frames, cycle=cycle, generated_at=GENERATED_AT).document)
    text = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True
    ).stdout.decode()
    findings = text[text.index("Severidade") :]
    assert {"Severidade", "Regra", "Valor", "Confiança"} <= set(findings.split())
    assert re.findall(r"\d\d/\d\d/\d{4}[^\s,.]", findings) == []
    assert {plate for plate in frames.vehicles["plate"] if plate in findings} <= set(findings.split())


def pages_of_listing(texts: list[str]) -> list[str]:
    """The text of each page of a PDF that lists these explanations, each beside a plate."""
    rows = tuple((f"ABC{number:04d}", text) for number, text in enumerate(texts))
    listing = Section(
        "x", "Lista", Grid((Field("a", "Placa"), Field("b", "Explicação", width=30)), rows), is_listing=True
    )
    made = document_pdf(Document("Relatório", "dia", GENERATED_AT, (), (), (listing,)))
    shown = subprocess.run(["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True)
    return shown.stdout.decode().split("\f")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the words of a page")
def test_no_note_of_a_headline_number_runs_into_the_number_below() -> None:
    """A note of three lines ended in the label of the card below it."""
    cards = [Card(f"Rotulo{number}", 1, Kind.INTEGER, "palavra " * 90 + "ultima") for number in range(8)]
    made = document_pdf(Document("Relatório", "dia", GENERATED_AT, tuple(cards), (), ()))
    shown = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=made, capture_output=True, check=True).stdout
    words = re.findall(r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">(\w+)<', shown.decode())
    ends = [float(bottom) for _, bottom, word in words if word == "ultima"]
    starts = [float(top) for top, _, word in words if word in {f"Rotulo{number}" for number in range(4, 8)}]
    assert len(ends) == 8
    assert len(starts) == 4
    assert max(ends[:4]) < min(starts)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the words of a page")
def test_no_row_of_the_pdf_is_divided_between_two_pages() -> None:
    pages = pages_of_listing([f"começo{number} " + "palavra " * 250 + f"fim{number}" for number in range(60)])
    assert len(pages) > 2
    for number in range(60):
        assert [f"começo{number} " in page for page in pages] == [f"fim{number}\n" in page for page in pages]


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the words of a page")
def test_a_table_nearly_as_high_as_a_page_begins_below_its_title_and_a_code_keeps_its_hyphens() -> None:
    code = "T-SP-UAL-TRANSUL-onibus-IND"
    rows = tuple((f"ABC{number:04d}", f"tarifa mais próxima ({code}) " * 20) for number in range(12))
    table = Section("x", "Incidentes", Grid((Field("a", "Placa"), Field("b", "Explicação", width=30)), rows))
    made = document_pdf(Document("Relatório", "dia", GENERATED_AT, (), (), (table,)))
    shown = subprocess.run(["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True).stdout
    lines = [line.split() for line in shown.decode().split("\f")[0].splitlines()]
    assert ["ABC0000"] in [words[:1] for words in lines]
    assert any(words and words[-1].endswith("-") for words in lines)  # a code goes on in the next line
    assert not any(words and words[0].startswith("-") for words in lines)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the words of a page")
@pytest.mark.parametrize("word", ["palavra", "W" * 24, "WM" * 40])
def test_a_row_higher_than_a_page_of_the_pdf_is_printed_whole(word: str) -> None:
    words = [f"{number}{word}" for number in range(3_000)]
    shown = "".join(pages_of_listing([" ".join(words)])).replace(" ", "").replace("\n", "")
    assert all(f"{number}W" in shown or f"{number}p" in shown for number in range(0, 3_000, 100))


def test_threads_that_set_documents_at_once_get_the_same_page(frames: Frames) -> None:
    """Typst's compilers are shared: the second thread in one raised "Already borrowed"."""
    document = report(frames).document
    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(first_page, [document] * 4))
    assert set(pages) == {first_page(document)}
