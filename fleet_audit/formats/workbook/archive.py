"""The ZIP archive of an XLSX workbook: size limits, damaged entries, and parts under the names that the reader expects.

What the sheets hold is read in `worksheets`.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from xml.parsers import expat

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.workbook.sheet_scan import SheetScan, elements, scan_sheet

_UNPACKED_TIMES = 20  # a full workbook of 50,000 rows x 17 columns unpacks from 2.3 MB to 24 MB
_CELLS_PER_ROW = 100  # the reader keeps the whole rectangle of a sheet: two far cells would fill the memory
_WORKBOOK = "xl/workbook.xml"
BROKEN = "The workbook cannot be opened ({0}); open it in a spreadsheet program and save it again as XLSX or CSV."


@dataclass(frozen=True)
class Archive:
    """A checked workbook.

    Attributes:
        content: the bytes for the reader; repacked when the workbook's part has an unusual name.
        names: the parts' names in lower case, with slashes.
        is_1904: unformatted day numbers count from 1 January 1904.
        scans: per sheet name, what the reader does not report.
    """

    content: bytes
    names: tuple[str, ...]
    is_1904: bool
    scans: dict[str, SheetScan]


def open_archive(content: bytes, limits: Limits) -> Archive:
    """The checked archive of a workbook.

    Raises:
        RejectedFile: not an XLSX, damaged, unpacking to more than twenty times the size limit, or with a sheet that
            spans more cells than a hundred for each row allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(archive, limits)
            entries = {_slashes(name): name for name in archive.namelist()}
            workbook = _workbook_part(archive, entries)
            # Sizes in the directory can lie; reading every entry up to its stated size finds that by its checksum.
            damaged = archive.testzip()
            if damaged is not None:
                raise RejectedFile(BROKEN.format(f"{damaged[:60]} is damaged"), "broken_workbook")
            is_1904, sheets = _sheets(archive, entries, workbook)
            parts = {entries[part] for part in sheets.values()} | {
                name for part, name in entries.items() if part.lower().endswith(".xml")
            }
            scans = {name: _scan(archive.read(name), limits) for name in sorted(parts)}
            return Archive(
                content if workbook == _WORKBOOK else _repacked(archive, entries, workbook),
                tuple(part.lower() for part in entries),
                is_1904,
                {sheet: scans[entries[part]] for sheet, part in sheets.items()},
            )
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        expat.ExpatError,
    ) as error:
        raise RejectedFile(BROKEN.format(type(error).__name__), "broken_workbook") from error


def _slashes(name: str) -> str:
    return name.replace("\\", "/").lstrip("/")  # some exporters of Windows write xl\workbook.xml


def _check_size(archive: zipfile.ZipFile, limits: Limits) -> None:
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > _UNPACKED_TIMES * limits.max_bytes:
        raise RejectedFile(
            f"The workbook unpacks to {unpacked:,} bytes, more than "
            f"{_UNPACKED_TIMES * limits.max_bytes:,}; send it as CSV, or in parts.",
            "unsafe_workbook",
        )


def _workbook_part(archive: zipfile.ZipFile, entries: dict[str, str]) -> str:
    """Name of the workbook's part: the usual one, or what the package's own relationships name."""
    if any(part.lower() == _WORKBOOK for part in entries):
        return _WORKBOOK
    package = entries.get("_rels/.rels")
    for attributes in elements(archive.read(package), "Relationship") if package else []:
        part = _slashes(attributes.get("Target", ""))
        if attributes.get("Type", "").endswith("/officeDocument") and part.lower().endswith(".xml") and part in entries:
            return part
    raise RejectedFile("The file is a ZIP archive and not an XLSX workbook; send an XLSX or a CSV.", "not_a_table")


def _sheets(archive: zipfile.ZipFile, entries: dict[str, str], workbook: str) -> tuple[bool, dict[str, str]]:
    """Whether days count from 1904, and the part of each sheet by the sheet's name."""
    known = {part.lower(): part for part in entries}
    content = archive.read(entries[known[workbook.lower()]])
    is_1904 = any(
        attributes.get("date1904", "").lower() in ("1", "true", "on") for attributes in elements(content, "workbookPr")
    )
    folder, file = posixpath.split(workbook)
    related = entries.get(known.get(f"{folder}/_rels/{file}.rels".lower(), ""))
    targets = {
        attributes.get("Id", ""): posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
        for attributes in (elements(archive.read(related), "Relationship") if related else [])
    }
    sheets = {}
    for attributes in elements(content, "sheet"):
        key = next((value for name, value in attributes.items() if name.rpartition(":")[2] == "id"), "")
        part = known.get(_slashes(targets.get(key, "")).lower())
        if part:
            sheets[attributes.get("name", "")] = part
    return is_1904, sheets


def _scan(xml: bytes, limits: Limits) -> SheetScan:
    scan = scan_sheet(xml)
    if scan.last_row * scan.last_column > _CELLS_PER_ROW * limits.max_rows:
        raise RejectedFile(
            f"A sheet of the workbook spans {scan.last_row:,} rows and {scan.last_column:,} columns"
            "; remove what lies outside of the table and send it again.",
            "unsafe_workbook",
        )
    return scan


def _repacked(archive: zipfile.ZipFile, entries: dict[str, str], workbook: str) -> bytes:
    """The same parts, the workbook's folder and name as the reader looks for them."""
    folder, file = posixpath.split(workbook)
    inside = f"{folder}/" if folder else ""
    usual = {workbook: _WORKBOOK, f"{inside}_rels/{file}.rels": "xl/_rels/workbook.xml.rels"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for part, name in entries.items():
            data = archive.read(name)
            if part.endswith(".rels"):
                data = data.replace(f'"/{inside}'.encode(), b'"/xl/').replace(workbook.encode(), _WORKBOOK.encode())
            is_moved = part.startswith(inside) and part not in ("_rels/.rels", "[Content_Types].xml")
            packed.writestr(usual.get(part, f"xl/{part.removeprefix(inside)}" if is_moved else part), data)
    return buffer.getvalue()
