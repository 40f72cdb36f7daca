"""The pages for people: generated ones are up to date, and what the README asks a reader to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fleet_audit.cli.main import main
from fleet_audit.formats.reasons import reasons_page
from fleet_audit.logic.audit.rules.rules_page import rules_page
from fleet_audit.logic.primitives.parameters_page import parameters_page
from fleet_audit.marts.marts_page import marts_page
from fleet_audit.schema.registry import TABLES
from fleet_audit.schema.tables_page import tables_page
from fleet_audit.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIABLES = {
    name if name.startswith("AWS_") else f"FLEET_{name.upper()}"
    for name in (field.alias or key for key, field in Settings.model_fields.items())
}


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("tables", tables_page()),
        ("parameters", parameters_page()),
        ("rules", rules_page()),
        ("reasons", reasons_page()),
        ("marts", marts_page()),
    ],
)
def test_a_generated_page_is_up_to_date(name: str, page: str) -> None:
    assert (ROOT / "docs" / f"{name}.md").read_text() == page, "run `make docs`"


def test_every_table_is_described() -> None:
    headings = re.findall(r"^### (\S+)$", tables_page(), re.MULTILINE)
    assert sorted(headings) == sorted({table.full_name for table in TABLES.values()})


def test_every_picture_of_the_ui_is_small_and_shown_in_the_tour() -> None:
    taken = re.findall(r'^    "(\w+)": \(', (ROOT / "docs/pictures.py").read_text(), re.MULTILINE)
    assert len(taken) >= 4
    tour = (ROOT / "docs/tour.md").read_text()
    for name in taken:
        assert f"images/{name}.png" in tour
        assert (ROOT / "docs/images" / f"{name}.png").stat().st_size < 200_000


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        assert target.startswith(("http://", "https://")) or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|$|\s+#)", path.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path: Path) -> None:
    for line in re.findall(r"fleet-audit ([a-z-]+(?: [^`\n|&)]*)?)", path.read_text()):
        command, *words = line.split()
        if command in main.commands:
            found = main.commands[command]
            if isinstance(found, click.Group):
                found = found.commands[words[0]]
            options = {name for parameter in found.params for name in parameter.opts} | {"--help"}
            assert {word for word in words if word.startswith("--")} <= options, line


def test_the_readme_shows_commands() -> None:
    named = set(re.findall(r"bin/fleet-audit ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"run", "psql"} <= named <= set(main.commands)


@pytest.mark.parametrize("path", [*PAGES, ROOT / ".env.example"], ids=lambda path: path.name)
def test_settings_exist(path: Path) -> None:
    named = set(re.findall(r"\b(FLEET_[A-Z_]+|AWS_[A-Z_]+)\b(?!\*|_)", path.read_text())) - {"FLEET_", "AWS_"}
    assert named <= VARIABLES


def test_every_setting_is_in_the_template() -> None:
    named = set(re.findall(r"^#? ?((?:FLEET|AWS)_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert named == VARIABLES


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output


def test_the_walk_through_the_rooms_names_what_exists() -> None:
    walk = (ROOT / "docs" / "architecture.md").read_text().split("## A walk", 1)[1].split("\n## ", 1)[0]
    rooms = "|".join(path.name for path in (ROOT / "fleet_audit").iterdir() if path.is_dir())
    names = sorted(set(re.findall(rf"`((?:{rooms})\.[\w.]+)`", walk)))
    assert len(names) > 20
    assert [name for name in names if not _exists(name)] == []


def _exists(name: str) -> bool:
    """Whether `room.module` or `room.module.name` is in the package (read, not imported: Dagster warns then)."""
    package = ROOT / "fleet_audit"
    module = package / f"{name.replace('.', '/')}.py"
    holder, _, last = name.rpartition(".")
    inside = package / f"{holder.replace('.', '/')}.py"
    return module.exists() or (
        inside.exists() and re.search(rf"^(def|class) {last}\b", inside.read_text(), re.MULTILINE) is not None
    )


@pytest.mark.parametrize("name", ["operations.md", "reliability.md"])
def test_the_tests_that_a_page_names_exist(name: str) -> None:
    """A cure or a survived fault that a page calls tried was tried by something."""
    named = set(re.findall(r"`(?:fleet_audit_tests/)?((?:\w+/)*test_\w+\.py)`", (ROOT / "docs" / name).read_text()))
    assert named
    assert sorted(path for path in named if not (ROOT / "fleet_audit_tests" / path).is_file()) == []
