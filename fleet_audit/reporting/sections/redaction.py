"""What belongs to other carriers, and drivers' names: the rows and texts of one carrier without them.

Rows are chosen per carrier in `inputs`; here the texts of those rows lose what names other carriers or people.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.identity import fold
from fleet_audit.reporting.sections.inputs import Frames, names_of

OTHER = "[outra transportadora]"
DRIVER = "[motorista]"
WITH_CARRIER = ("trips", "findings", "held_runs", "declared_runs", "coverage", "adjustments", "vehicles")
_ID = re.compile(r"[\w-]{6,}")
_LEAST_LETTERS = 4  # of a name that is found however it is written; a shorter one would be found in every sentence
_DROPPED = object()
# Free texts, by frame: people wrote them, so any may name another carrier ("Garagem Viação Oeste").
_TEXTS = {
    "units": ["name", "cost_center"],
    "pois": ["name"],
    "routes": ["name", "keywords"],
    "vehicles": ["fleet_number"],
    "trips": ["area_reason"],
    "trip_costs": ["cost_reason"],
    "declared_runs": ["bulletin_number", "origin_text", "destination_text", "file_name"],
    "legs": ["origin_address", "destination_address"],
    "incidents": ["sentence_pt"],
    "billing_lines": ["fleet_number"],
    "adjustments": ["reason"],
    "rules_not_tested": ["reason_pt"],
    "exceptions": ["reason", "approved_by"],
}
_CALLED_BY = {"units": "unit_code", "pois": "poi_id", "routes": "route_code"}  # the code, where the name is unknown


@dataclass(frozen=True)
class CarrierNames:
    """What names carriers in a cycle: their names by code, and the codes, plates, and ids of trips and runs of rows."""

    names: Mapping[str, str]
    codes: frozenset[str]
    plates: frozenset[str]
    ids: frozenset[str]

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame]) -> CarrierNames:
        """From `carriers` and the tables of `WITH_CARRIER`, which need only these columns."""

        def texts(column: str, *names: str) -> frozenset[str]:
            return frozenset(text for name in names for text in tables[name][column].dropna().unique())

        return cls(
            names_of(tables["carriers"], "carrier_code"),
            codes=texts("carrier_code", *WITH_CARRIER),
            plates=texts("plate", *WITH_CARRIER),
            ids=texts("trip_id", "trips") | texts("declared_run_id", "declared_runs", "held_runs"),
        )

    @classmethod
    def of_frames(cls, frames: Frames) -> CarrierNames:
        """Those in the frames of a cycle."""
        return cls.of({name: getattr(frames, name) for name in ("carriers", *WITH_CARRIER)})


@dataclass(frozen=True)
class Others:
    """What belongs to other carriers: their codes, names and plates, the ids of their trips and runs; and people.

    `own` are the code and name of the carrier that reads, `people` the names of all drivers, its own included. A
    driver's name of one word is masked where it is the whole text: inside a text it may be a street's.
    """

    own: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    plates: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    def masked(self, text: str) -> str:
        """The text with everything of others replaced; a carrier's own names stay, even where they hold another's.

        Names are found in any case and with or without accents, codes as they are written.
        """
        masked = self._masked.get(text)  # most texts of evidence are names of its parts, which each finding repeats
        if masked is None:
            masked = self._masked[text] = self._mask(text)
        return masked

    def _mask(self, text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        if fold(composed) in self._people_folded:
            return DRIVER
        composed = self._people_words.sub(DRIVER, composed)
        without_ids = _ID.sub(lambda found: OTHER if found[0] in self.ids else found[0], composed)
        return self._words.sub(lambda found: found[0] if fold(found[0]) in self._own_folded else OTHER, without_ids)

    def without(self, value: Any) -> Any:
        """A value of evidence without the rows of other carriers and with its texts masked."""
        kept = self._kept(value)
        return None if kept is _DROPPED else kept

    def _cut(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        parts = {name: self._kept(part) for name, part in evidence.items() if self.masked(name) == name}
        return {name: part for name, part in parts.items() if part is not _DROPPED}

    def _kept(self, value: Any) -> Any:
        if isinstance(value, dict):
            is_theirs = value.get("plate") in self.plates or value.get("carrier_code") in self.codes
            is_theirs = is_theirs or any(value.get(name) in self.ids for name in ("trip_id", "declared_run_id"))
            return _DROPPED if is_theirs else self._cut(value)
        if isinstance(value, list):
            return [part for part in map(self._kept, value) if part is not _DROPPED]
        if isinstance(value, str):
            return _DROPPED if value in self.ids else self.masked(value)
        return value

    @cached_property
    def _masked(self) -> dict[str, str]:
        return {}

    @cached_property
    def _own_folded(self) -> frozenset[str]:
        return frozenset(map(fold, self.own))

    @cached_property
    def _people_folded(self) -> frozenset[str]:
        return frozenset(fold(name) for name in self.people if sum(map(str.isalpha, name)) >= _LEAST_LETTERS)

    @cached_property
    def _people_words(self) -> re.Pattern[str]:
        full = sorted(
            (name for name in self.people if len(fold(name).split()) > 1), key=lambda name: (-len(name), name)
        )
        either = "|".join(map(_loose_pattern, full))
        return re.compile(rf"(?<!\w)(?:{either})(?!\w)" if either else r"(?!)")

    @cached_property
    def _words(self) -> re.Pattern[str]:
        plates = ((plate, r"[-\s.]?".join((re.escape(plate[:3]), re.escape(plate[3:])))) for plate in self.plates)
        names = ((name, _loose_pattern(name)) for name in self.own | self.names)
        words = [*names, *((code, re.escape(code)) for code in self.codes), *plates]
        longest_first = sorted((word for word in words if word[0].strip()), key=lambda word: (-len(word[0]), word[0]))
        either = "|".join(form for _, form in longest_first)
        return re.compile(rf"(?<!\w)(?:{either})(?!\w)" if either else r"(?!)")


def without_others(findings: pd.DataFrame, others: Others) -> pd.DataFrame:
    """The findings with sentence and evidence cut to what their carrier may see."""
    evidence = [json.dumps(others.without(json.loads(text)), ensure_ascii=False, sort_keys=True)
                for text in findings["evidence"]]  # fmt: skip
    return findings.assign(
        explanation_pt=masked_texts(findings["explanation_pt"], others),
        evidence=pd.Series(evidence, index=findings.index, dtype="str"),
    )


def frames_without_others(frames: Frames, others: Others) -> Frames:
    """The frames of one carrier with findings cut and every free text masked."""
    masked = {}
    for name, columns in _TEXTS.items():
        frame: pd.DataFrame = getattr(frames, name)
        if code := _CALLED_BY.get(name):
            frame = frame.assign(name=frame["name"].fillna(frame[code]))
        masked[name] = frame.assign(**{column: masked_texts(frame[column], others) for column in columns})
    return replace(frames, findings=without_others(frames.findings, others), **masked)


def masked_texts(texts: pd.Series, others: Others) -> pd.Series:
    """The column with each of its texts masked."""
    return texts.map({text: others.masked(text) for text in texts.dropna().unique()}).astype(texts.dtype)


def _loose_pattern(name: str) -> str:
    """A pattern of a name in any case, with or without accents; of a short one exactly."""
    if sum(map(str.isalpha, name)) < _LEAST_LETTERS:
        return re.escape(name)
    letters = (r"\s+" if letter == " " else _ACCENTED.get(letter, re.escape(letter)) for letter in fold(name))
    return f"(?i:{''.join(letters)})"


def _accented() -> dict[str, str]:
    """Each letter → the class of its forms with accents."""
    forms: dict[str, str] = {}
    for form in map(chr, range(0xC0, 0x250)):
        if len(letter := fold(form)) == 1 and letter != form.casefold():
            forms[letter] = forms.get(letter, letter) + form
    return {letter: f"[{every}]" for letter, every in forms.items()}


_ACCENTED = _accented()
