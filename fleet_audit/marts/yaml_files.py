"""The YAML of the folder: dbt_project.yml, schema.yml and sources.yml, read and checked for shape.

`project` compares it with the SQL files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import ColumnDocument, SchemaTest
from fleet_audit.marts.rendering import Variable

# libyaml where PyYAML was built with it: the folder's files take 0.06 s of processor time instead of 0.6 s
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEST_KINDS = ("not_null", "unique", "accepted_values", "relationships")


@dataclass(frozen=True)
class ModelDocument:
    """Entry of a model in schema.yml."""

    path: Path
    description: str
    columns: Mapping[str, ColumnDocument]


@dataclass(frozen=True)
class ProjectFile:
    """Content of dbt_project.yml: folders of models and of macros, defaults of variables, options of every model."""

    model_folders: tuple[str, ...]
    macro_folders: tuple[str, ...]
    variables: Mapping[str, Variable]
    options: Mapping[str, Any]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises PermanentError that names the file when it holds none."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506 (both are safe loaders)
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise PermanentError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise PermanentError(f"{path} holds no mapping; it should begin with `version: 2` or `name:`.")
    return content


def read_project_file(folder: Path) -> ProjectFile:
    """dbt_project.yml of the folder.

    Raises PermanentError when it has options of a folder: dbt counts folders below those of `model-paths`, so that it
    ignored them, and a `dbt build` once turned every table into a view.
    """
    path = folder / "dbt_project.yml"
    content = read_yaml(path)
    options = content.get("models", {}).get(content.get("name"), {})
    if folders := [name for name in options if not name.startswith("+")]:
        raise PermanentError(
            f"{path}: dbt ignores the options of {', '.join(folders)}; write them for every model, or with config() in "
            "the model's file."
        )
    return ProjectFile(
        tuple(content.get("model-paths", ["models"])),
        tuple(content.get("macro-paths", ["macros"])),
        {name: _variable(name, value, path) for name, value in content.get("vars", {}).items()},
        {name.removeprefix("+"): value for name, value in options.items()},
    )


def _variable(name: str, value: object, path: Path) -> Variable:
    if isinstance(value, dt.date | int) and not isinstance(value, bool):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        raise PermanentError(f"{path}: variable {name} is {value!r}, neither a date nor a whole number.") from None


def read_models(path: Path) -> dict[str, ModelDocument]:
    """Models of one schema.yml, by name."""
    return {_name(entry, path): _model(entry, path) for entry in read_yaml(path).get("models") or []}


def read_sources(path: Path) -> dict[str, tuple[str, set[str]]]:
    """Sources of one YAML file: name -> (schema, tables)."""
    return {
        _name(entry, path): (entry.get("schema", entry["name"]), {_name(item, path) for item in entry["tables"]})
        for entry in read_yaml(path).get("sources") or []
    }


def _name(entry: Mapping[str, Any], path: Path) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not name:
        raise PermanentError(f"{path}: an entry has no name: {entry!r}.")
    return str(name)


def _model(entry: Mapping[str, Any], path: Path) -> ModelDocument:
    name = _name(entry, path)
    if not entry.get("description"):
        raise PermanentError(f"{path}: model {name} has no description.")
    columns: dict[str, ColumnDocument] = {}
    for item in entry.get("columns") or []:
        column = _column(item, name, path)
        if column.name in columns:
            raise PermanentError(f"{path}: model {name} describes column {column.name} twice.")
        columns[column.name] = column
    return ModelDocument(path, str(entry["description"]), columns)


def _column(entry: Mapping[str, Any], model: str, path: Path) -> ColumnDocument:
    name = _name(entry, path)
    if not entry.get("description"):
        raise PermanentError(f"{path}: column {model}.{name} has no description.")
    tests = entry.get("data_tests") or entry.get("tests") or []  # dbt's new and old word for the same
    return ColumnDocument(name, str(entry["description"]), tuple(_test(test, name, model, path) for test in tests))


def _test(entry: object, column: str, model: str, path: Path) -> SchemaTest:
    kind, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))  # type: ignore[attr-defined]
    if kind not in TEST_KINDS:
        raise PermanentError(
            f"{path}: test {kind} of {model}.{column} is not known; use one of {', '.join(TEST_KINDS)}."
        )
    arguments = options.get("arguments", {})
    missing = {"accepted_values": {"values"}, "relationships": {"to", "field"}}.get(kind, set()) - set(arguments)
    if missing:
        raise PermanentError(
            f"{path}: test {kind} of {model}.{column} lacks {', '.join(sorted(missing))} under `arguments:`."
        )
    severity = str(options.get("config", {}).get("severity", "error")).lower()
    return SchemaTest(str(kind), column, arguments, severity == "warn")
