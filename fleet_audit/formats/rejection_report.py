"""The rejected rows of a file as a CSV for whoever sent it: in Portuguese, and harmless in a spreadsheet.

The module of each kind of file decides which rows are rejected, and why.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.formats.reasons import REASONS
from fleet_audit.logic.primitives.text_cells import FORMULA

NAME = "rejections.csv"
_HEADER = ["Arquivo", "Linha", "Código", "Motivo", "Detalhe (inglês)", "Linha recebida"]


def rejection_report(file_name: str, rejected: pd.DataFrame) -> bytes:
    """The report: UTF-8 with BOM, one line per row and reason.

    Args:
        file_name: path inside the inbox.
        rejected: row_number (null for the file as a whole), reason_code, reason, raw.
    """
    codes = rejected["reason_code"]
    lines = pd.DataFrame(
        {
            "file": pd.Series(file_name, index=rejected.index, dtype="str"),
            "row": rejected["row_number"].astype("Int64"),
            "code": codes,
            "meaning": codes.map({code: REASONS[code].meaning_pt for code in codes.unique()}),
            "detail": rejected["reason"],
            "raw": rejected["raw"],
        }
    )
    for column in ("file", "detail", "raw"):
        lines[column] = lines[column].astype("str").str.replace(FORMULA.pattern, "'", regex=True)
    return lines.to_csv(index=False, header=_HEADER, lineterminator="\r\n").encode("utf-8-sig")


def refusal(code: str, message: str) -> pd.DataFrame:
    """The single line of a file that was refused whole."""
    return pd.DataFrame({"row_number": [None], "reason_code": [code], "reason": [message], "raw": [""]})
