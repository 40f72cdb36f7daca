"""The stable codes under which rows and files are refused, and what each means; docs/reasons.md is made from it.

    python -m fleet_audit.formats.reasons > docs/reasons.md

The module of each kind of file decides which row gets which code.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

ROW, FILE = "row", "file"
REASON_CODE = "reason_code"  # the code's name in a failed step's metadata, in log lines and in traces


@dataclass(frozen=True)
class Reason:
    """One code: `scope` is what it refuses, `meaning_pt` is for whoever sent the file."""

    code: str
    scope: str
    meaning: str
    meaning_pt: str


_ALL = (
    Reason("missing_value", ROW, "A value that must be there is empty", "Falta um valor obrigatório"),
    Reason("bad_date", ROW, "Not a day of the calendar, or not dd/mm/aaaa", "Data inexistente ou fora do formato"),
    Reason(
        "bad_time", ROW, "Not a time of day or duration, or not HH:MM[:SS]", "Horário inexistente ou fora do formato"
    ),
    Reason(
        "bad_timestamp", ROW, "Not an ISO 8601 instant with an offset", "Instante fora do formato ISO 8601 com fuso"
    ),
    Reason("future_timestamp", ROW, "More than 5 minutes after the file arrived", "Instante no futuro"),
    Reason("future_date", ROW, "A day after the one on which the file arrived", "Data no futuro"),
    Reason(
        "outside_period", ROW, "More than a year from the other dates of the file", "Data a mais de um ano do arquivo"
    ),
    Reason(
        "gps_week_rollover",
        ROW,
        "1,024 weeks off: the GPS week counter of the device started again",
        "Data 1.024 semanas fora: contador de semanas do GPS do rastreador reiniciou",
    ),
    Reason(
        "spoilt_id", ROW, "An id that a spreadsheet rounded (3,51E+14)", "Código arredondado pela planilha (3,51E+14)"
    ),
    Reason(
        "ambiguous_number",
        ROW,
        "A number with two readings: 18.500 is 18500 or 18.5",
        "Número com duas leituras: 18.500 pode ser 18500 ou 18,5",
    ),
    Reason(
        "formula_without_value",
        ROW,
        "A formula whose result the workbook does not hold",
        "Fórmula sem resultado gravado na planilha",
    ),
    Reason("bad_number", ROW, "Not a number in the form that the file uses", "Número ilegível"),
    Reason("negative_value", ROW, "Below zero where only zero and more make sense", "Valor negativo"),
    Reason("out_of_range", ROW, "Outside of what the column can hold", "Valor fora dos limites"),
    Reason("bad_flag", ROW, "Not true, false, 1, 0, sim or nao", "Valor que não é sim nem não"),
    Reason("bad_value", ROW, "Not one of the values that the column knows", "Valor desconhecido para a coluna"),
    Reason("bad_vehicle_type", ROW, "tipoVeiculo is not urbano or agricola", "tipoVeiculo não é urbano nem agricola"),
    Reason("bad_plate", ROW, "Not a Brazilian plate (ABC1234, ABC1D23)", "Placa inválida"),
    Reason("bad_polygon", ROW, "Not a sound POLYGON in WKT", "Polígono inválido"),
    Reason("bad_period", ROW, "The period ends before it begins", "Período que termina antes de começar"),
    Reason(
        "bad_width", ROW, "More cells than the header, or the line is cut off", "Linha com células a mais ou cortada"
    ),
    Reason(
        "no_header", ROW, "A movement that is not under a vehicle's header", "Movimento fora do bloco de um veículo"
    ),
    Reason("duplicate_key", ROW, "The key of an earlier row with other values", "Chave repetida com outro conteúdo"),
    Reason("overlapping_validity", ROW, "Valid while an earlier row of the same thing is", "Vigência sobreposta"),
    Reason(
        "unlimited_exception",
        ROW,
        "An exception without an end, or one that covers everything",
        "Exceção sem data final, ou que vale para tudo",
    ),
    Reason("bad_item", ROW, "An item of the API that is not an object", "Item da API que não é um objeto"),
    Reason(
        "conflict", ROW, "Another row of this device and instant was used", "Outra linha do mesmo instante foi usada"
    ),
    Reason(
        "outside_window",
        ROW,
        "The API returned a position outside the requested window",
        "Posição fora da janela pedida",
    ),
    Reason("too_large", FILE, "More bytes than FLEET_MAX_FILE_MB", "Arquivo maior que o limite"),
    Reason("too_many_rows", FILE, "More rows than FLEET_MAX_FILE_ROWS", "Arquivo com mais linhas que o limite"),
    Reason(
        "too_many_columns", FILE, "A header with far more columns than any known table", "Cabeçalho com colunas demais"
    ),
    Reason("empty_file", FILE, "No bytes, or no filled row", "Arquivo vazio"),
    Reason("not_a_table", FILE, "A PDF, an image, an old or foreign archive, binary", "O arquivo não é CSV nem XLSX"),
    Reason("broken_workbook", FILE, "A workbook that cannot be opened", "Planilha que não abre"),
    Reason(
        "unsafe_workbook", FILE, "A workbook that unpacks to, or spans, far too much", "Planilha que se expande demais"
    ),
    Reason("missing_column", FILE, "The header lacks a column that is needed", "Falta uma coluna no cabeçalho"),
    Reason("repeated_column", FILE, "A known column is in the header twice", "Coluna repetida no cabeçalho"),
    Reason("no_vehicle_block", FILE, "A visit report without a vehicle's block", "Relatório sem bloco de veículo"),
    Reason("unknown_table", FILE, "reference/ has no table of that name", "Tabela de referência desconhecida"),
    Reason(
        "unknown_vehicle",
        FILE,
        "An upload with a vehicle or device that its sender does not see",
        "Veículo ou rastreador que não é de quem enviou o arquivo",
    ),
    Reason(
        "damaged_archive", FILE, "Its archived bytes are lost or damaged: send it again", "Cópia arquivada danificada"
    ),
    Reason("unreadable", FILE, "Anything else; the message names it", "Arquivo ilegível"),
)
REASONS = {reason.code: reason for reason in _ALL}

_HEAD = """# Reason codes

Why a row is in quarantine, or a file refused whole, made from `fleet_audit/formats/reasons.py` by `make docs`: do not
edit this page.

Codes are stable: they may be counted and alerted on. `ops.rejected_rows` holds each refused row as received with its
code and a sentence, `ops.ingested_files.reason_code` the code of a file that was refused whole, and
`rejections.csv` beside each archived file the same for whoever sent it:

    fleet-audit psql -c "select source_kind, reason_code, count(*) from ops.rejected_rows group by 1, 2 order by 3 desc"

| code | refuses a | meaning | text of the report (pt-BR) |
|---|---|---|---|
"""


def reasons_page() -> str:
    """The page, in Markdown."""
    rows = (f"| `{one.code}` | {one.scope} | {one.meaning} | {one.meaning_pt} |" for one in _ALL)
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reasons_page())
