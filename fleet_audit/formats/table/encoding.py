"""Bytes to text: UTF-8, UTF-16, Latin-1 and code page 850, and what is binary and therefore not a text.

Rows and cells are read in `delimited`.
"""

from __future__ import annotations

import re

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.table.delimited import LONGEST_QUOTED_CELL

_BINARY = {
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Excel workbook",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x1f\x8b": "a gzip archive",
}
_MARKUP = "an HTML or XML page (an .xls that a system saved as a web page, or an answer of a web site)"
_PORTUGUESE = frozenset("ÁÀÂÃÇÉÊÍÓÔÕÚÜáàâãçéêíóôõúüºª°")
_CONTROL = bytes(code for code in range(1, 32) if code not in b"\t\n\r\x0b\x0c\x1a\x1b")
# A block that a disk or a copy never wrote; programs pad a cell with fewer. Of the rows that it cuts none is whole:
# their cells get a character that no number, time or plate has, and no quoted cell reaches from one to the other.
TORN = "\ufffd"
_HOLE, _CUT = re.compile("\x00{256,}"), TORN + LONGEST_QUOTED_CELL * "\n" + TORN


def decode(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of UTF-8 (with or without BOM), UTF-16, Latin-1 or DOS (850) bytes, and the warnings about it.

    Raises RejectedFile when the bytes are no text.
    """
    text, warnings = _decoded(content)
    if text[:1000].lstrip().startswith("<"):
        raise _not_a_table(_MARKUP)
    once = _encoded_twice(text)
    return (text, warnings) if once is None else (once, (*warnings, "The file is UTF-8 that was encoded twice."))


def _encoded_twice(text: str) -> str | None:
    """The text of which every byte in UTF-8 was taken for a character (`CÃ“DIGO`); None for any other text.

    No Portuguese text passes: an Ã or Â of its own is followed by no second half of a UTF-8 character.
    """
    if text.isascii():
        return None
    codes = bytearray()
    for character in text:
        try:
            codes += character.encode("cp1252" if character > "\x7f" else "ascii")
        except UnicodeEncodeError:
            if character > "\xff":
                return None
            codes.append(ord(character))  # cp1252 leaves five codes free, which stay as they are
    try:
        return codes.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decoded(content: bytes) -> tuple[str, tuple[str, ...]]:
    for magic, what in _BINARY.items():
        if content.startswith(magic):
            raise _not_a_table(what)
    encoding = _utf16(content)
    if encoding:
        text = content.decode(encoding, errors="replace").removeprefix("\ufeff")
        return _without_nul(text, (f"The file is {encoding.upper()[:6]}, read as such; UTF-8 is expected.",))
    if not content.strip(b"\x00"):
        raise _not_a_table("binary")
    if len(content) - len(content.translate(None, _CONTROL)) > max(len(content) // 20, 8):
        raise _not_a_table("binary")
    try:
        return _without_nul(content.decode("utf-8-sig"), ())
    except UnicodeDecodeError:
        pass
    text = content.decode("utf-8-sig", errors="replace")
    damaged = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", errors="ignore")) - damaged > damaged:
        return _without_nul(text, (f"{damaged} characters are damaged (not UTF-8) and shown as \ufffd.",))
    try:
        text = content.decode("cp1252")  # what Brazilian Windows calls Latin-1
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    dos = content.decode("cp850")
    if _portuguese_letters(dos) > _portuguese_letters(text):
        return _without_nul(dos, ("The file is in the DOS code page 850, read as such; UTF-8 is expected.",))
    return _without_nul(text, ("The file is Latin-1, read as such; UTF-8 is expected.",))


def _not_a_table(what: str) -> RejectedFile:
    return RejectedFile(
        f"The file is {what}, not a CSV text; export the table as CSV (UTF-8) and send that.", "not_a_table"
    )


def _portuguese_letters(text: str) -> int:
    """How many letters with marks are Portuguese ones: SAÍDA of one code page is SAÖDA in the other."""
    return sum(character in _PORTUGUESE for character in text if character > "\x7f")


def _utf16(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16-le" if content.startswith(b"\xff\xfe") else "utf-16-be"
    head = content[:2000]
    even, odd = head[0::2].count(0) / max(len(head[0::2]), 1), head[1::2].count(0) / max(len(head[1::2]), 1)
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _without_nul(text: str, warnings: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    count = text.count("\x00")  # PostgreSQL holds no NUL in a text
    if not count:
        return text, warnings
    text = _HOLE.sub(_CUT, text.rstrip("\x00")).replace("\x00", "")
    return text, (*warnings, f"{count} NUL characters were taken out.")
