"""A carrier's copy: its own rows, reasons and evidence, a deadline, and not one byte of another carrier."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import shutil
import subprocess
import zipfile
import zlib
from dataclasses import fields, replace
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest

from fleet_audit.logic.closing.deadlines import business_deadline
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.reporting.documents.carrier_copy import CarrierCopy, build_copy, carrier_folder
from fleet_audit.reporting.formats.render import render_copies
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.evidence import evidence_grid
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.redaction import OTHER, CarrierNames, Others
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.model import Type
from fleet_audit_tests.reporting.sample import CARRIERS, GENERATED_AT, build, fleet, settled

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
OWN = "RODA"


def copy_of(
    frames: Frames, code: str = OWN, closing: Closing | None = None, drivers: tuple[str, ...] = ()
) -> CarrierCopy:
    frames = settled(frames, CYCLE)
    options = {"cycle": CYCLE, "generated_at": GENERATED_AT, "contest_days": 5, "drivers": drivers}
    return build_copy(frames, code, closing=closing or Closing(), **options)


def own_and_other(frames: Frames) -> tuple[pd.Series, pd.Series]:
    trips = frames.trips
    return trips[trips["carrier_code"] == OWN].iloc[0], trips[trips["carrier_code"] == "CONLOG"].iloc[0]


@pytest.fixture(scope="module")
def frames() -> Frames:
    """With a finding of one driver on vehicles of two carriers, the other's trip in its evidence and its sentence."""
    made = fleet(12, days=2, first=CYCLE.start)
    own, other = own_and_other(made)
    name = CARRIERS[0][1]
    shown = other["plate"][:3] + "-" + other["plate"][3:]
    evidence = {
        "trip_ids": [own["trip_id"], other["trip_id"]],
        "trips": [{"trip_id": row["trip_id"], "plate": row["plate"], "km_measured": 9.5} for row in (own, other)],
        "other_plate": other["plate"],
        "by_plate": {other["plate"]: 1.5, own["plate"]: 2.5},
        "note": f"também na {name} ({CARRIERS[0][0]}), viagem {other['trip_id']}",
    }
    finding = build(facts.FINDINGS, [{
        "finding_id": "two-drivers", "operational_date": CYCLE.start, "rule_id": "T02", "rule_version": "1",
        "severity": "H", "plate": own["plate"], "carrier_code": OWN, "unit_code": own["unit_code"],
        "trip_id": own["trip_id"], "confidence": 0.9, "evidence": json.dumps(evidence), "status": "open",
        "explanation_pt": f"O motorista dirigia também o {shown} da {name}, viagem {other['trip_id']}."}])  # fmt: skip
    return replace(made, findings=pd.concat([made.findings, finding], ignore_index=True))


@pytest.fixture(scope="module")
def made(frames: Frames) -> dict[str, CarrierCopy]:
    return {code: copy_of(frames, code) for code in sorted(CarrierNames.of_frames(frames).codes)}


@pytest.fixture(scope="module")
def files(made: dict[str, CarrierCopy]) -> dict[str, bytes]:
    return render_copies([made[OWN]])


def everything(name: str, data: bytes) -> str:
    """All that is readable in a file: its bytes, each part of an archive, each stream and the text of a PDF."""
    parts = [data]
    if name.endswith(".xlsx"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts += [entry.filename.encode() + archive.read(entry) + entry.comment for entry in archive.infolist()]
    if name.endswith(".pdf"):
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
            with_header = zlib.decompressobj()
            parts.append(with_header.decompress(stream) if stream[:1] == b"\x78" else stream)
        if shutil.which("pdftotext"):
            text = subprocess.run(["pdftotext", "-", "-"], input=data, capture_output=True, check=True)
            parts.append(text.stdout)
    return "\n".join(part.decode("utf-8", "replace") for part in parts)


def of_others(frames: Frames) -> set[str]:
    others = {code: name for code, name in CARRIERS if code != OWN}
    tokens = {*others, *others.values(), *(name.replace("&", "&amp;") for name in others.values())}
    for table, columns in (("trips", ("trip_id", "plate", "contract_id")), ("declared_runs", ("declared_run_id",)),
                           ("vehicles", ("plate",)), ("contracts", ("contract_id",)), ("tariffs", ("tariff_id",)),
                           ("findings", ("finding_id",))):  # fmt: skip
        frame = getattr(frames, table)
        owner = frame["contract_id"].map(lambda contract: contract == "CT-3") if "carrier_code" not in frame else (
            frame["carrier_code"] == OWN)  # fmt: skip
        tokens |= {text for column in columns for text in frame.loc[~owner, column]}
    return tokens


def test_no_byte_of_any_file_is_of_another_carrier(frames: Frames, files: dict[str, bytes]) -> None:
    tokens = of_others(frames)
    assert len(tokens) > 50
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, sorted(tokens))) + r")(?![\w])")
    assert {name.rpartition("/")[2] for name in files} == {
        "relatorio_mensal.xlsx", "relatorio_mensal.html", "relatorio_mensal.pdf", "pacote_medicao.xlsx"}  # fmt: skip
    for name, data in files.items():
        text = everything(name, data)
        assert not set(pattern.findall(text)), name
        assert name.endswith(".pdf") or "Roda Viva" in text


# Columns of the frames that are no free text: what joins, what a fixed list of words allows, what is parsed.
_NO_TEXT = ("_id", "_code", "_sha256", "_version", "plate", "timezone", "polygon_wkt", "weekdays")


def naming_another(frames: Frames, words: str) -> Frames:
    """Every free text of every frame ends in these words."""
    tables = {table.name: table for table in (*facts.TABLES, *reference.TABLES, lake.LEGS)}
    changed = {}
    for entry in fields(frames):
        frame = getattr(frames, entry.name)
        table = tables.get({"coverage": "vehicle_day_coverage"}.get(entry.name, entry.name))
        if table is None or entry.name == "carriers":
            continue
        free = [column.name for column in table.columns if column.type is Type.TEXT and not column.values
                and not column.name.endswith(_NO_TEXT) and column.name in frame]  # fmt: skip
        changed[entry.name] = frame.assign(**{name: frame[name].fillna("Garagem") + f" {words}" for name in free})
    assert {"pois", "routes", "units", "declared_runs", "trip_costs", "findings", "adjustments"} <= set(changed)
    return replace(frames, **changed)


@pytest.mark.parametrize("words", ["Concórdia Logística", "CONCORDIA  LOGISTICA", "CONLOG"])
def test_a_text_that_names_another_carrier_is_masked_wherever_it_stands(frames: Frames, words: str) -> None:
    line = {"billed_cycle_start": CYCLE.start, "origin_cycle_start": dt.date(2025, 4, 16), "carrier_code": OWN,
            "plate": "AAA1A11", "operational_date": dt.date(2025, 5, 2), "kind": "trip", "reason": "Dado tardio.",
            "adjustment_id": "a", "difference_brl": Decimal("1.00")}  # fmt: skip
    with_adjustment = replace(frames, adjustments=build(facts.ADJUSTMENTS, [line]))
    copy = copy_of(naming_another(with_adjustment, words))
    for name, data in render_copies([copy]).items():
        text = fold(everything(name, data))
        assert fold(words) not in text, name
        assert "outra transportadora]" in text or name.endswith(".pdf")


def test_no_text_of_any_field_names_a_driver(frames: Frames) -> None:
    drivers = ("José Antônio Pereira", "Benedita da Silva")
    copy = copy_of(naming_another(frames, "JOSE ANTONIO  PEREIRA, Benedita da Silva"), drivers=drivers)
    for name, data in render_copies([copy]).items():
        text = fold(everything(name, data))
        assert not [driver for driver in drivers if fold(driver) in text], name
        assert "[motorista]" in text or name.endswith(".pdf")


def test_a_drivers_name_of_one_word_is_masked_alone_and_not_inside_a_place() -> None:
    others = Others(people=frozenset({"Aurora"}))
    assert others.masked("AURORA") == "[motorista]"
    assert others.masked("Ponto Rua Aurora") == "Ponto Rua Aurora"


def test_every_finding_has_its_id_its_evidence_and_room_for_an_answer(
    frames: Frames, made: dict[str, CarrierCopy]
) -> None:
    own = set(frames.findings.loc[frames.findings["carrier_code"] == OWN, "finding_id"])
    sections = {section.key: section for section in made[OWN].document.sections}
    shown = [entry.label for entry in sections["findings"].grid.fields if entry.in_print]
    assert (shown[0], shown[-1]) == ("Achado (id)", "Resposta da transportadora")
    assert set(sections["findings"].grid.column("finding_id")) == own
    assert set(sections["evidence"].grid.column("finding_id")) == own
    notes = " ".join(made[OWN].document.notes)
    assert "ranking" not in notes
    assert "Previsão" not in notes
    assert {"MEMÓRIA DE CÁLCULO"} <= {sheet.name for sheet in made[OWN].package.sheets}


def test_own_names_and_ordinary_words_stay() -> None:
    others = Others(own=frozenset({"RV", "Roda Viva"}), codes=frozenset({"SUL"}), names=frozenset({"Roda", "Sul"}))
    assert others.masked("A RODA VIVA segue ao sul; roda bem") == f"A RODA VIVA segue ao sul; {OTHER} bem"
    assert others.masked("Garagem SUL") == f"Garagem {OTHER}"


def test_the_search_would_find_what_it_looks_for(frames: Frames, made: dict[str, CarrierCopy]) -> None:
    other = render_copies([made["CONLOG"]])
    for name, data in other.items():
        if name.endswith(".xlsx"):
            assert CARRIERS[0][1] in everything(name, data)


def test_nothing_of_others_is_in_the_values_that_every_format_draws(
    frames: Frames, made: dict[str, CarrierCopy]
) -> None:
    tokens = of_others(frames)
    document = made[OWN].document
    texts = [str(value) for section in document.sections if section.grid for row in section.grid.rows for value in row]
    texts += [document.subtitle, *document.notes, *(chart.picture for chart in document.charts)]
    assert not [token for token in tokens for text in texts if re.search(rf"(?<![\w-]){re.escape(token)}(?!\w)", text)]


def test_the_carriers_own_side_of_shared_evidence_stays(frames: Frames, made: dict[str, CarrierCopy]) -> None:
    own, _ = own_and_other(frames)
    section = next(section for section in made[OWN].document.sections if section.key == "findings")
    row = next(row for row in section.grid.rows if "two-drivers" in row)
    found = dict(zip([entry.name for entry in section.grid.fields], row, strict=True))
    evidence = json.loads(found["evidence"])
    assert evidence["trip_ids"] == [own["trip_id"]]
    assert [trip["trip_id"] for trip in evidence["trips"]] == [own["trip_id"]]
    assert evidence["by_plate"] == {own["plate"]: 2.5}
    assert found["explanation_pt"] == (
        "O motorista dirigia também o [outra transportadora] da [outra transportadora], viagem [outra transportadora]."
    )


def test_rows_of_all_copies_are_those_of_the_whole(frames: Frames, made: dict[str, CarrierCopy]) -> None:
    trips = [row for copy in made.values()
             for section in copy.document.sections if section.key == "trips" for row in section.grid.rows]  # fmt: skip
    assert len(trips) == len(frames.trips)
    billed = [value for copy in made.values() for name in ("MEDIÇÃO - AGRÍCOLA", "MEDIÇÃO - ADM-INDÚSTRIA")
              for value in copy.package.sheet(name).grid.column("total_brl")]  # fmt: skip
    assert sum(billed) == sum(frames.trip_costs["variable_cost_brl"].dropna()) + sum(
        frames.fixed_cost_days["amount_brl"]
    )


def test_a_carrier_without_findings_gets_a_copy_that_says_so(frames: Frames) -> None:
    clean = copy_of(replace(frames, findings=frames.findings.iloc[:0]))
    book = openpyxl.load_workbook(io.BytesIO(render_copies([clean])[f"{OWN}/relatorio_mensal.xlsx"]))
    assert book["Achados"].max_row == 1
    assert clean.document.stamp.startswith("PROVISÓRIO · contestação até")


@pytest.mark.parametrize(
    ("published", "days", "holidays", "until"),
    [
        (dt.date(2025, 6, 20), 5, set(), dt.date(2025, 6, 27)),  # a Friday: the week after
        (dt.date(2025, 6, 18), 5, {dt.date(2025, 6, 19)}, dt.date(2025, 6, 26)),  # Corpus Christi
        (dt.date(2025, 6, 21), 1, set(), dt.date(2025, 6, 23)),  # a Saturday
        (dt.date(2025, 6, 20), 0, set(), dt.date(2025, 6, 20)),
    ],
)
def test_deadline_counts_business_days(published, days, holidays, until) -> None:
    assert business_deadline(published, days, holidays) == until


def test_deadline_is_counted_from_the_close_without_holidays_of_the_carriers_units(frames: Frames) -> None:
    closing = Closing("final", dt.datetime(2025, 6, 18, 12, tzinfo=dt.UTC), "ab" * 32, "m", "1", "p")
    days = [{"date": dt.date(2025, 6, 19), "unit_code": frames.units["unit_code"].iloc[0], "day_type": "feriado"}]
    with_holiday = replace(frames, calendar=build(reference.CALENDAR, days))
    assert "contestação até 25/06/2025" in copy_of(frames, closing=closing).document.stamp
    assert "contestação até 26/06/2025" in copy_of(with_holiday, closing=closing).document.stamp


@pytest.mark.parametrize("code", ["../../etc", "a/b", "..", ".hidden", "", "x" * 300, "ação", "a\x00b", "con.", "_ab"])
def test_a_hostile_code_is_one_harmless_folder(code: str) -> None:
    folder = carrier_folder(code)
    assert re.fullmatch(r"_[0-9a-f]{16}", folder)
    assert folder != carrier_folder(code + "x")


def test_a_harmless_code_is_its_own_folder_and_never_a_hostile_ones() -> None:
    assert carrier_folder("VIA-OESTE_1.0") == "VIA-OESTE_1.0"
    assert carrier_folder(carrier_folder("a/b")) != carrier_folder("a/b")


def test_a_vehicle_that_changed_hands_keeps_its_plate_and_each_carrier_its_trips(frames: Frames) -> None:
    own, _ = own_and_other(frames)
    is_second = (frames.trips["plate"] == own["plate"]) & (frames.trips["trip_id"] != own["trip_id"])
    trips = frames.trips.assign(carrier_code=frames.trips["carrier_code"].mask(is_second, "CONLOG"))
    handed = replace(frames, trips=trips)
    counts = {}
    for code in (OWN, "CONLOG"):
        section = next(section for section in copy_of(handed, code).document.sections if section.key == "trips")
        counts[code] = section.grid.column("plate").count(own["plate"])
    assert counts == {OWN: int((trips[~is_second]["plate"] == own["plate"]).sum()), "CONLOG": int(is_second.sum())}
    assert min(counts.values()) > 0


def test_evidence_tells_times_as_the_sentence_does_on_the_units_clock(frames: Frames) -> None:
    evidence = {"declared_runs": [{"bulletin_number": "7", "started_at": "2025-05-16T18:57:00+00:00"}]}
    finding = frames.findings.head(1).assign(evidence=json.dumps(evidence), unit_code="USL")
    zones = dict(zip(frames.units["unit_code"], frames.units["timezone"], strict=True))
    assert zones["USL"] == "America/Campo_Grande"
    assert evidence_grid(finding, zones, {}).column("started") == [dt.datetime(2025, 5, 16, 14, 57)]


def test_the_reason_of_an_exception_names_no_other_carrier(frames: Frames) -> None:
    row = {"exception_id": "EX-1", "carrier_code": OWN, "reason": f"acordo com a {CARRIERS[0][1]}",
           "approved_by": "gestor", "date_from": CYCLE.start, "date_to": CYCLE.end}  # fmt: skip
    own = copy_of(replace(frames, exceptions=build(reference.EXCEPTIONS, [row]))).document
    (section,) = (one for one in own.sections if one.key == "exceptions")
    assert section.grid.column("reason") == [f"acordo com a {OTHER}"]


def test_a_copy_of_a_carrier_without_vehicles_states_no_count_of_processed_days(frames: Frames) -> None:
    none = frames.carriers.iloc[:1].assign(carrier_code="NOVA", name="Nova Frota")
    with_new = replace(frames, carriers=pd.concat([frames.carriers, none], ignore_index=True))
    assert "2 de 31 dias processados" in copy_of(with_new).document.subtitle
    assert "dias processados" not in copy_of(with_new, "NOVA").document.subtitle


def test_a_copy_counts_the_days_on_which_the_carrier_had_no_vehicle(frames: Frames) -> None:
    """A carrier with vehicles on one of two processed days read that one day was processed, and a plan of that day."""
    (first, _) = sorted(set(frames.coverage["operational_date"]))
    is_later = (frames.coverage["carrier_code"] == OWN) & (frames.coverage["operational_date"] != first)
    made = copy_of(replace(frames, coverage=frames.coverage[~is_later]))
    assert "2 de 31 dias processados" in made.document.subtitle
    planned, seen = ({card.label: card.text for card in one.document.cards} for one in (made, copy_of(frames)))
    assert planned["Km planejados"] == seen["Km planejados"]
    assert planned["Veículos-dia vistos"] != seen["Veículos-dia vistos"]
