"""Deterministic names of things: ids, plates, folded texts. The same input gives the same id, always."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

import pandas as pd

PLATE = re.compile(r"^[A-Z]{3}\d(?:\d|[A-Z])\d{2}$")
_SEPARATORS = re.compile(r"[\s.\-_/]+")


def stable_id(*parts: object) -> str:
    """First 16 hex digits of a SHA-256 over the parts' texts, separated by an unprintable character."""
    return hashlib.sha256("\x1f".join("" if part is None else str(part) for part in parts).encode()).hexdigest()[:16]


def stable_ids(frame: pd.DataFrame, columns: list[str], *prefix: str) -> pd.Series:
    """`stable_id` of each row over the given columns; timestamps as ISO texts, missing values as empty texts."""
    texts = [_as_text(frame[column]) for column in columns]
    rows = zip(*texts, strict=True) if texts else ()
    return pd.Series([stable_id(*prefix, *row) for row in rows], index=frame.index, dtype="str")


def _as_text(series: pd.Series) -> list[str]:
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return ["" if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)]


def normalise_plate(text: str) -> str:
    """Upper case without spaces, dots or hyphens: `gdp-4j 68` is `GDP4J68`."""
    return _SEPARATORS.sub("", text).upper()


def fold(text: str) -> str:
    """Lower case without accents, single spaces: how names, addresses and headers are compared."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(plain.casefold().split())


def driver_pseudonym(name: str, key: bytes) -> str:
    """Keyed hash of the folded name: the same person everywhere, no name anywhere."""
    return "drv-" + hmac.new(key, fold(name).encode(), hashlib.sha256).hexdigest()[:12]
