"""Names of columns, and phrases that docs/naming.md replaces: one grammar over tables, code and pages."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from fleet_audit.schema.model import Column, Table, Type
from fleet_audit.schema.registry import TABLES

ROOT = Path(__file__).parents[1]
PUBLISHED = {"ignition"}  # the telemetry API's own name for a boolean
ENDINGS = {
    Type.BOOLEAN: re.compile(r"(is|has)_\w+"),
    Type.TIMESTAMP: re.compile(r"\w+_(at|from|to)"),
    Type.LOCAL_TIMESTAMP: re.compile(r"\w+_local"),
    Type.DATE: re.compile(r"date|\w+_date|(\w+_)?(cycle|segment)_(start|end)|\w+_(from|to)"),
    Type.KM: re.compile(r"km(_\w+)?|\w+_km"),
    Type.KM3: re.compile(r"km_\w+|\w+_km"),
    Type.BRL: re.compile(r"brl_\w+|\w+_brl|\w+_brl_per_month"),
    Type.RATE: re.compile(r"\w+_brl_per_km"),
    Type.PERCENT: re.compile(r"\w+_pct|compliance_score"),
}
COLUMNS = [(table, column) for table in TABLES.values() for column in table.columns if column.type in ENDINGS]

# Each phrase with what to write instead. Tests' own names and Portuguese texts are not searched.
PHRASES = {
    r"\brows? an? (day|vehicle|trip|run|file|plate|device|cycle|carrier)\b": "per",
    r"\b(one|a) (row|line|file|sheet) an? (day|vehicle|trip|run|file|plate|device|cycle|carrier)\b": "per",
    r"\b(told|tells)\b": "report, notify, name",
    r"\b(said|made|delivered) anew\b": "added or changed; computed again",
    r"\breckon\w*": "compute",
    r"\bput down\b": "record",
    r"\bout of reach\b": "too late, cannot be requested",
    r"\bnot believed\b|\bcannot be believed\b|\bpoints? to believe\b": "rejected; faulty",
    r"\bcomes? to\b(?! an end)": "is, sums to",
    r"\bis no (?!longer|t\b)[a-z]+": "is not",
    r"\bleaves? out\b|\bleft out\b": "exclude",
}
SEARCHED = ("fleet_audit/**/*.py", "benchmarks/**/*.py", "dbt_like_sql/**/*.sql", "dbt_like_sql/**/*.yml", "docs/*.md",
            "README.md", "Makefile", "deploy/*", ".env.example")  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda value: getattr(value, "name", ""))
def test_a_column_ends_in_its_unit(table: Table, column: Column) -> None:
    if column.name not in PUBLISHED:
        assert ENDINGS[column.type].fullmatch(column.name), f"{table.full_name}.{column.name} is {column.type.value}"


def test_no_two_modules_have_one_name_that_says_nothing() -> None:
    """A package's own assets.py, checks.py and the like repeat on purpose; a noun such as document.py must not."""
    by_room = Counter(path.stem for path in (ROOT / "fleet_audit").rglob("*.py"))
    vague = {"document", "documents", "utils", "helpers", "common", "misc", "base", "wording", "vocabulary", "stake"}
    assert not vague & set(by_room)


def test_no_folder_holds_more_files_than_a_reader_can_scan() -> None:
    crowded = {
        str(folder.relative_to(ROOT)): len(modules)
        for folder in [ROOT / "fleet_audit", *(path for path in (ROOT / "fleet_audit").rglob("*") if path.is_dir())]
        if len(modules := [path for path in folder.glob("*.py") if path.name != "__init__.py"]) > 18
        and folder.name != "versions"  # of migrations: a numbered list, which grows
    }
    assert not crowded, "split the folder by its next noun, see docs/architecture.md"


def _tracked(pattern: str) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", f":(glob){pattern}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = [ROOT / name for name in done.stdout.splitlines()]
    return found or sorted(ROOT.glob(pattern))  # an unpacked archive has no version control


@pytest.mark.parametrize("pattern", SEARCHED)
def test_phrases_that_the_naming_page_replaces_are_absent(pattern: str) -> None:
    found = []
    for path in _tracked(pattern):
        if path == ROOT / "docs" / "naming.md" or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {match[0]!r}, write: {instead}"
                for phrase, instead in PHRASES.items()
                if (match := re.search(phrase, line, re.IGNORECASE))
            ]
    assert not found, "\n" + "\n".join(found[:40]) + (f"\n… {len(found)} in all" if len(found) > 40 else "")
