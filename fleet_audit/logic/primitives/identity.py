"""Deterministic names of things: ids, plates, folded texts. The same input gives the same id, always."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

PLATE = re.compile(r"^[A-Z]{3}\d(?:\d|[A-Z])\d{2}$")
# the dashes of word processors too, which put them for hyphens
_SEPARATORS = re.compile(r"[\s.\-_/\u2010-\u2015\u2212]+")


def stable_id(*parts: object) -> str:
    """First 16 hex digits of a SHA-256 over the parts' texts, separated by an unprintable character."""
    return hashlib.sha256("\x1f".join("" if part is None else str(part) for part in parts).encode()).hexdigest()[:16]


def stable_ids(frame: pd.DataFrame, columns: list[str], *prefix: str) -> pd.Series:
    """`stable_id` of each row over the given columns; timestamps as ISO texts, missing values as empty texts."""
    texts = [*map(_scalar, prefix), *(_as_text(frame[column]) for column in columns)]
    rows = pc.binary_join_element_wise(*texts, _scalar("\x1f"), null_handling="replace", null_replacement="")
    sha256 = hashlib.sha256
    digits = b"".join([sha256(row).digest()[:8] for row in rows.cast(pa.large_binary()).to_pylist()]).hex()
    offsets = np.arange(len(frame) + 1, dtype=np.int64) * 16
    ids = pa.LargeStringArray.from_buffers(len(frame), pa.py_buffer(offsets), pa.py_buffer(digits.encode()))
    return pd.Series(pd.array(ids, dtype="str"), index=frame.index)


def _as_text(series: pd.Series) -> pa.Array:
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        wall = pa.array(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]"))
        texts = pc.binary_join_element_wise(
            pc.replace_substring(wall.cast(pa.large_string()), " ", "T"), _scalar("Z"), _scalar("")
        )
    elif isinstance(series.dtype, pd.StringDtype):
        texts = pa.array(series, from_pandas=True)
    else:
        values = series.astype(object).to_numpy()
        texts = pa.array(
            [None if missing else str(value) for value, missing in zip(values, series.isna().to_numpy(), strict=True)],
            pa.large_string(),
        )
    return (texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts).cast(pa.large_string())


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def normalise_plate(text: str) -> str:
    """Upper case without spaces, dots or hyphens: `gdp-4j 68` is `GDP4J68`."""
    return _SEPARATORS.sub("", text).upper()


def fold(text: str) -> str:
    """Lower case without accents, single spaces: how names, addresses and headers are compared."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(text.casefold().split())


def driver_pseudonym(name: str, key: bytes) -> str:
    """Keyed hash of the folded name: the same person everywhere, no name anywhere."""
    return "drv-" + hmac.new(key, fold(name).encode(), hashlib.sha256).hexdigest()[:12]
