"""Arrow results of PostgreSQL as frames: what the driver leaves as text or as an extension type becomes typed.

Only conversion belongs here; queries are sent by `warehouse`.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.schema.derive import extension_dtype, with_plain_labels

_MAX_DIGITS = 38  # of decimal128
_NUMERIC_METADATA = b"POSTGRESQL:type"


def without_extensions(data: pa.Table) -> pa.Table:
    """The table with extension columns (numeric, jsonb, uuid) as the texts or bytes that they are stored as."""
    for index, field in enumerate(data.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in data.column(index).chunks]
            column = pa.chunked_array(chunks, type=field.type.storage_type)
            data = data.set_column(index, pa.field(field.name, column.type, metadata=field.metadata), column)
    return data


def typed_frame(data: pa.Table) -> pd.DataFrame:
    """A frame with the dictionary's dtypes: numeric as exact decimals of the scale that occurs, instants in UTC."""
    data = without_extensions(data)
    for index, field in enumerate(data.schema):
        if (field.metadata or {}).get(_NUMERIC_METADATA) == b"numeric" and pa.types.is_string(field.type):
            data = data.set_column(index, field.name, _decimals(data.column(index)))
    frame = data.to_pandas(types_mapper=extension_dtype, timestamp_as_object=False)
    return with_plain_labels(frame, tuple(data.column_names))


def _decimals(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    point = pc.find_substring(texts, ".")
    scale = pc.max(pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(pc.utf8_length(texts), point), 1))).as_py()
    return pc.cast(texts, pa.decimal128(_MAX_DIGITS, scale or 0))
