"""Small valid files of each kind, and the shortest way to read one."""

from __future__ import annotations

import datetime as dt
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import xlsxwriter

from fleet_audit.formats.parsed import Limits, ParsedFile
from fleet_audit.formats.read import parse_file

REAL_DAY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real_day"
RECEIVED_AT = dt.datetime(2025, 6, 11, 3, 0, tzinfo=dt.UTC)
KEY = b"key"

BULLETIN_HEADER = (
    "NUMERO ATA,PLACA,EQUIPAMENTO,DATA,CÓDIGO,LOCAL SAÍDA,HORÁRIO SAÍDA,TURNO,KM SAÍDA,QTDE PESSOAS,CÓDIGO2,"
    "LOCAL CHEGADA,HORÁRIO CHEGADA,KM CHEGADA,KM ROTA,TAXA LOTAÇÃO,EMPRESA"
)
BULLETIN_ROWS = (
    "7001,KPU-9A36,37069,10/06/2025,,GARAGEM AV. CUIABÁ,06:04,A,117279,18,,USINA,07:06,117309,30,0,CONLOG",
    '7002,kpu 9a36,,10/06/2025,,"GARAGEM, FUNDOS",23:50,C,117309,15,,,00:40:30,117339,30,0,CONLOG',
)
TELEMETRY_HEADER = (
    "deviceId,timestamp,tipoVeiculo,odometroKm,custoVariavel,custoFixo,viagemId,latitude,longitude,velocidadeKmh,"
    "ignicao,motoristaId,passageiros"
)
TELEMETRY_ROWS = (
    "23,2025-06-10T06:04:35-03:00,urbano,117279.4,1.5,2,V1,-22.53,-52.17,0,true,M1,18",
    "23,2025-06-10T06:05:35-03:00,agricola,117280,1.5,2,,-22.52,-52.17,40.5,sim,,",
)
_DAY = "10/06/2025"
_ADDRESS = "Av. Cuiabá, 104"
_VISIT_HEADER = (
    "Data de saída,Motorista,Horário de saída,Saída de,Tempo de Condução (hh:mm:ss),distância (km),Vel max (Km/h),"
    "Hora de chegada,Chegou em,,,Próxima Partida,Tempo parado na localidade. (hh:mm:ss)"
)
VISIT = f""""Relatório de visita diário
CONLOG

De 10/06/2025 00:00 Para  10/06/2025 23:59 Movimentos entre 05:00 e 23:40",,,,,,,,,,,,
,,,,,,,,,,,,
Descrição do ativo,,Conlog 3706 - KPU-9A36 - DVR,,,,,,,,,,
Número de registro,,KPU9A36,,,,,,,,,,
ID do ativo,,23,,,,,,,,,,
Nome da garagem,,Teodoro Sampaio,,,,,,,,,,
{_VISIT_HEADER}
{_DAY},João Silva manutenção.,04:21:03,"{_ADDRESS}",01:00:00,"30,20",79,05:21:03,Usina,,,{_DAY} 06:00,00:38:57
10/06/2025,Unknown,23:30:00,Usina,01:00:10,"29,80",80,00:30:10,Garagem,,,,00:10:00
Totais,,,,02:00:10,"60,00",,,,,,,00:48:57
Médias,,,,01:00:05,"30,00",,,,,,,00:24:28
Descrição do ativo,,Conlog - LRC-4A69 - DVR,,,,,,,,,,
Número de registro,,LRC-4A69,,,,,,,,,,
ID do ativo,,27,,,,,,,,,,
Nome da garagem,,Teodoro Sampaio,,,,,,,,,,
{_VISIT_HEADER}
Totais,,,,00:00:00,"0,00",,,,,,,00:00:00
"""
VEHICLES = """plate,fleet_number,carrier_code,unit_code,contract_id,vehicle_class,default_area,seats,status,\
valid_from,valid_to
KPU-9A36,37069,CONLOG,UCP,CT1,onibus,IND,46,ativo,2025-01-01,
LRC4A69,37074,CONLOG,UCP,CT1,Ônibus,IND,46,ativo,01/01/2025,
"""


def examples(count: int) -> int:
    """So many examples of a property, times FUZZ_TIMES: a long search by hand (docs/reliability.md)."""
    return count * int(os.environ.get("FUZZ_TIMES", "1"))


def bulletin(*rows: str) -> bytes:
    """A bulletin of the given rows (the two valid ones when none is given)."""
    return "\n".join([BULLETIN_HEADER, *(rows or BULLETIN_ROWS), ""]).encode()


def telemetry(*rows: str) -> bytes:
    """A telemetry file of the given rows (the two valid ones when none is given)."""
    return "\n".join([TELEMETRY_HEADER, *(rows or TELEMETRY_ROWS), ""]).encode()


def changed(row: str, **cells: str) -> str:
    """A comma-separated row with cells replaced: `c3="31/02/2025"` replaces the fourth."""
    parts = row.split(",")
    for name, text in cells.items():
        parts[int(name[1:])] = text
    return ",".join(parts)


def read(kind: str, content: bytes, name: str = "file.csv", limits: Limits | None = None) -> ParsedFile:
    """The file, read on the day after the samples."""
    return parse_file(kind, name, content, received_at=RECEIVED_AT, limits=limits or Limits(), driver_key=KEY)


def reasons(parsed: ParsedFile) -> list[tuple[int, str]]:
    """(row_number, reason_code) of each rejection."""
    return list(zip(parsed.rejected["row_number"], parsed.rejected["reason_code"], strict=True))


def workbook(rows: list[list[object]], **options: object) -> bytes:
    """An XLSX of one sheet with the rows; dates, times and durations are typed cells."""
    return workbook_of({"Plan1": rows}, **options)


def workbook_of(
    sheets: Mapping[str, list[list[object]]],
    *,
    hidden: Sequence[str] = (),
    charts: Sequence[str] = (),
    merged: Sequence[tuple[int, int, int, int]] = (),
    **options: object,
) -> bytes:
    """An XLSX with several sheets.

    Args:
        sheets: rows by the sheet's name, in order.
        hidden: sheets that are not shown.
        charts: names of chart sheets, which stand last.
        merged: first row, first column, last row, last column (from 0) in every sheet; the first cell keeps its value.
        options: of the workbook, such as `date_1904`.
    """
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, **options})
    formats = {
        dt.datetime: book.add_format({"num_format": "dd/mm/yyyy hh:mm"}),
        dt.date: book.add_format({"num_format": "dd/mm/yyyy"}),
        dt.time: book.add_format({"num_format": "hh:mm:ss"}),
        dt.timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
    }
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for span in merged:
            sheet.merge_range(*span, "")
        for line, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell is not None:
                    sheet.write(line, column, cell, formats.get(type(cell)))
        if name in hidden:
            sheet.hide()
    for name in charts:
        book.add_chartsheet(name).set_chart(_chart(book, next(iter(sheets))))
    first_shown = next((name for name in sheets if name not in hidden), None)
    if first_shown is not None:
        book.get_worksheet_by_name(first_shown).activate()
        book.get_worksheet_by_name(first_shown).set_first_sheet()
    book.close()
    return buffer.getvalue()


def _chart(book: xlsxwriter.Workbook, sheet: str) -> object:
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": f"='{sheet}'!$A$1:$A$2"})
    return chart
