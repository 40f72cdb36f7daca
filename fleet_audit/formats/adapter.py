"""The adapter of a vendor's API: a TOML file that maps its request, field names and units to ours.

Pages are read in `api_page.positions` and requested in `sources`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fleet_audit.errors import PermanentError

_SHIPPED = Path(__file__).with_name("adapters")
REQUIRED = ("device_id", "recorded_at")
NUMBERS = ("latitude", "longitude", "speed_kmh", "odometer_km", "passengers")
FIELDS = (*REQUIRED, *NUMBERS, "ignition", "driver_id")
_INSTANT_UNITS = ("iso", "s", "ms")
# Factors to the unit in our name of the field; a mile is 1,609.344 m, a knot 1,852 m/h, both by definition.
UNITS: dict[str, dict[str, float]] = {
    "speed_kmh": {"km/h": 1.0, "m/s": 3.6, "mph": 1.609344, "kn": 1.852},
    "odometer_km": {"km": 1.0, "m": 0.001, "mi": 1.609344},
}
_REQUEST_TEXTS = ("path", "header", "header_value", "from", "to", "instants", "limit", "cursor")
_KEYS = {
    "request": {*_REQUEST_TEXTS, "page_size", "fixed"},
    "answer": {"items", "next_cursor", "has_more"},
    "fields": set(FIELDS),
}
_FIELD_KEYS = {
    "device_id": {"path", "type"},
    "driver_id": {"path", "type"},
    "recorded_at": {"path", "unit"},
    "ignition": {"path", "on", "off"},
    "speed_kmh": {"path", "unit"},
    "odometer_km": {"path", "unit"},
}


@dataclass(frozen=True)
class Field:
    """The path of a field in an item, and how its value is written.

    `unit` of an instant is `iso`, `s` or `ms`; of a number its unit; `is_integer` is an id written as a number; `on`
    and `off` are the words of a flag that is not a boolean.
    """

    path: tuple[str, ...]
    unit: str = ""
    is_integer: bool = False
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Adapter:
    """One vendor's API; `request` holds the keys of the file's table of that name."""

    name: str
    request: Mapping[str, Any]
    items: tuple[str, ...]
    next_cursor: tuple[str, ...]
    has_more: tuple[str, ...]
    fields: Mapping[str, Field] = field(repr=False)


@cache
def load_adapter(name: str) -> Adapter:
    """The adapter of a file, or a shipped one by its name.

    Raises PermanentError with one sentence that names the file, the key and what is wrong.
    """
    shipped = _SHIPPED / f"{name}.toml"
    path = shipped if shipped.parent == _SHIPPED and shipped.is_file() else Path(name)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(one.stem for one in _SHIPPED.glob("*.toml")))
        raise PermanentError(
            f"FLEET_API_ADAPTER names {name!r}, which is neither a readable file nor a shipped adapter ({known})."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PermanentError(f"The adapter {path} is not TOML: {error}.") from error
    return _Checked(path).adapter(content)


@dataclass(frozen=True)
class _Checked:
    """Reads the parts of a file; every problem is a sentence that names the file."""

    path: Path

    def adapter(self, content: Mapping[str, Any]) -> Adapter:
        for section in _KEYS:
            self._table(content, section)
        request, answer, fields = (content[section] for section in _KEYS)
        for key in _REQUEST_TEXTS:
            self._require(isinstance(request.get(key), str) and request[key], f"request.{key}", "must be a string")
        self._require(request["path"].startswith("/"), "request.path", "must start with /")
        self._require("{token}" in request["header_value"], "request.header_value", "must contain {token}")
        self._require(request["instants"] in _INSTANT_UNITS, "request.instants", f"must be one of {_INSTANT_UNITS}")
        size = request.get("page_size")
        self._require(type(size) is int and size > 0, "request.page_size", "must be a whole number above 0")
        fixed = request.get("fixed", {})
        self._require(isinstance(fixed, dict), "request.fixed", "must be a table of parameters")
        for name in REQUIRED:
            self._require(name in fields, f"fields.{name}", "is missing")
        return Adapter(
            self.path.stem,
            request,
            self._path(answer.get("items"), "answer.items"),
            self._path(answer.get("next_cursor"), "answer.next_cursor"),
            self._path(answer["has_more"], "answer.has_more") if "has_more" in answer else (),
            {name: self._field(name, fields[name]) for name in FIELDS if name in fields},
        )

    def _field(self, name: str, given: Any) -> Field:
        key = f"fields.{name}"
        self._require(isinstance(given, dict), key, 'must be a table, as { path = "…" }')
        unknown = set(given) - _FIELD_KEYS.get(name, {"path"})
        self._require(not unknown, key, f"has the unknown keys {sorted(unknown)}")
        units = _INSTANT_UNITS if name == "recorded_at" else tuple(UNITS.get(name, {""}))
        unit = given.get("unit", units[0])
        self._require(unit in units, f"{key}.unit", f"must be one of {units}")
        self._require(given.get("type", "text") in ("text", "integer"), f"{key}.type", "must be text or integer")
        words = [given.get(state, []) for state in ("on", "off")]
        self._require(
            all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in words),
            key,
            "must list its words of on and off as texts",
        )
        path = self._path(given.get("path"), f"{key}.path")
        return Field(path, unit, given.get("type") == "integer", tuple(words[0]), tuple(words[1]))

    def _table(self, content: Mapping[str, Any], section: str) -> None:
        self._require(isinstance(content.get(section), dict), f"[{section}]", "is missing")
        unknown = set(content[section]) - _KEYS[section]
        self._require(not unknown, f"[{section}]", f"has the unknown keys {sorted(unknown)}")

    def _path(self, given: Any, key: str) -> tuple[str, ...]:
        is_path = isinstance(given, str) and all(given.split("."))
        self._require(is_path, key, "must be a path, with dots between the names of nested objects")
        return tuple(given.split("."))

    def _require(self, is_right: object, key: str, problem: str) -> None:
        if not is_right:
            raise PermanentError(f"The adapter {self.path} is wrong: {key} {problem}.")


CONTRACT = load_adapter("contract")
