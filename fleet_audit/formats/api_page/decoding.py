"""The JSON of an API page: whether its bytes are one whole document, how many items it has, and its next cursor.

What the items mean is read in `positions`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fleet_audit.formats.adapter import CONTRACT, Adapter
from fleet_audit.formats.parsed import RejectedFile

_SPACES = b" \t\n\r"  # that JSON allows between a name and its colon
_NULL = b"null"
# Members in which gateways say, under status 200, that the answer behind them failed, and texts that name no error.
_ERRORS = ("error", "errors", "error_message")
_ERROR_NAME = re.compile(rb'"(errors?|error_message|success|status)"\s*:', re.IGNORECASE)
_NO_ERROR = ("", "0", "none", "null", "false", "no", "ok", "success")
_NO_SUCCESS = ("0", "false", "no")
_FAILED = ("error", "fail", "failed", "failure")
_DEEPEST = 200  # far below where Python's readers and writers of JSON end, at 1,000 less the depth of the caller


class _Item(msgspec.Struct, gc=False):
    """An item of a page, of which no field is read."""


class BrokenPageError(RejectedFile):
    """The bytes are not one whole JSON document, whatever the vendor calls its fields."""


def outline(payload: bytes, adapter: Adapter = CONTRACT) -> tuple[int, str | None]:
    """Number of items of a page, and its next cursor (None on the last page).

    Raises:
        BrokenPageError: the bytes are not one whole JSON document in UTF-8 (RFC 8259), it is nested more than 200 deep,
            or an object names a field twice, so that a reader could not know which value was meant.
        RejectedFile: the document has no items and says that it failed, it has no list of items, its cursor is not a
            string, or `has_more` is not a boolean; without a cursor it may be absent or null.
    """
    page = decode_page(payload)
    _require_single_names(payload, page, adapter)
    items = items_of_page(page, adapter)
    if not items:
        _require_success(page)
    cursor = value_at(page, adapter.next_cursor)
    if cursor is not None and not isinstance(cursor, str):
        raise RejectedFile(
            f"The page's {'.'.join(adapter.next_cursor)} is not a string, so later pages cannot be requested; "
            "correct the adapter, or report it to the owner of FLEET_API_URL."
        )
    has_more = value_at(page, adapter.has_more) if adapter.has_more else True
    # 1, "true" and, beside a cursor, none at all would end the window at its first page
    if not isinstance(has_more, bool) and (cursor or has_more is not None):
        raise RejectedFile(
            f"The page's {'.'.join(adapter.has_more)} is not true or false, so nobody knows whether pages follow; "
            "correct the adapter, or report it to the owner of FLEET_API_URL."
        )
    return len(items), cursor or None if has_more else None


def outline_again(payload: bytes, adapter: Adapter = CONTRACT) -> tuple[int, str | None]:
    """`outline` of bytes that it accepted before: in a third of the time, because no item is read.

    Raises RejectedFile as `outline` does: it may have been another adapter that accepted them.
    """
    try:
        items = msgspec.json.decode(_raw_at(payload, adapter.items), type=list[_Item])
        cursor = msgspec.json.decode(_raw_at(payload, adapter.next_cursor), type=str | None)
        has_more = not adapter.has_more or msgspec.json.decode(_raw_at(payload, adapter.has_more), type=bool | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return outline(payload, adapter)
    if not items or (cursor and has_more is None):
        return outline(payload, adapter)
    return len(items), cursor or None if has_more else None


def raw_items(payload: bytes, adapter: Adapter = CONTRACT) -> bytes:
    """The list of items as the page writes it; the whole page where only Python's reader accepts it."""
    try:
        return bytes(_raw_at(payload, adapter.items))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return payload


def _raw_at(payload: bytes, path: Sequence[str]) -> bytes | msgspec.Raw:
    """The JSON at a path of names inside nested objects; `null` where one of them is missing."""
    raw: bytes | msgspec.Raw = payload
    for name in path:
        raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(name, _NULL)
    return raw


def decode_page(payload: bytes) -> Any:
    """The page as Python values.

    NaN and Infinity are not JSON, but several vendors' writers use them for a reading that the device did not give: a
    damaged transmission has none, and refusing them refused the readings of all other vehicles for ever.

    Raises BrokenPageError: the bytes are not one whole JSON document in UTF-8. A number of more than 4,300 digits and
    an object nested deeper than Python's recursion limit are refused too.
    """
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # msgspec also refuses NaN, and 1e400, a lone surrogate and a byte-order mark, which are JSON
        return _decode_by_python(payload)


def items_of_page(page: Any, adapter: Adapter = CONTRACT) -> list[Any]:
    """The list of items of a decoded page. Raises RejectedFile: the page lacks the list."""
    items = value_at(page, adapter.items)
    if not isinstance(items, list):
        raise RejectedFile(f"The page has no list '{'.'.join(adapter.items)}'; check FLEET_API_URL and the adapter.")
    return items


def value_at(item: Any, path: Sequence[str]) -> Any:
    """The value at a path of names inside nested objects; None where one of them is missing."""
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
    return item


def error_beside_items(payload: bytes, adapter: Adapter = CONTRACT) -> str | None:
    """The member by which a page with items says that something failed; None where it names no error.

    The items stand: vendors list devices that are offline there, on every day. What else may be missing nobody knows.
    """
    if not _ERROR_NAME.search(payload):  # a page is decoded again only where one of these names stands in it
        return None
    page = decode_page(payload)
    return _named_failure(page) if items_of_page(page, adapter) else None


def _require_success(page: Any) -> None:
    """Raises RejectedFile when a page without items names an error: it would be a complete day without positions."""
    if named := _named_failure(page):
        raise RejectedFile(f"The page has no items and says that it failed ('{named}'); ask for it again.")


def _named_failure(page: Any) -> str | None:
    """The member of a page, or of an object directly inside it (`meta.error`), that says that something failed."""
    if not isinstance(page, dict):
        return None
    inner = {f"{name}.": member for name, member in page.items() if isinstance(member, dict)}
    for prefix, members in {"": page, **inner}.items():
        by_name = {name.lower(): (f"{prefix}{name}", value) for name, value in members.items()}
        failed = [by_name[name][0] for name in _ERRORS if name in by_name and _names_error(by_name[name][1])]
        for name, values in (("success", _NO_SUCCESS), ("status", _FAILED)):
            failed += [by_name[name][0]] if name in by_name and _text(by_name[name][1]) in values else []
        if failed:
            return failed[0]
    return None


def _names_error(value: Any) -> bool:
    """Whether any value inside is other than 0, false, null or a text that names no error."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return value is not None and _text(value) not in _NO_ERROR
    return any(_names_error(one) for one in inner)


def _text(value: Any) -> str:
    return str(value).strip().lower()


def _decode_by_python(payload: bytes, object_of: Callable[[list[tuple[str, Any]]], Any] = dict) -> Any:
    try:
        return json.loads(payload.decode("utf-8-sig"), object_pairs_hook=object_of)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BrokenPageError(f"The page is not one whole JSON document ({reason}); ask for it again.") from error


def _require_single_names(payload: bytes, page: Any, adapter: Adapter) -> None:
    """Raises BrokenPageError when an object names a field twice: readers keep the last value and lose the others.

    Each name stands once before a colon, so equal counts prove it; else the objects are compared.
    """
    if payload.translate(None, _SPACES).count(b'":') == _count_page_names(payload, page, adapter):
        return
    _decode_by_python(payload, _require_distinct)


def _count_page_names(payload: bytes, page: Any, adapter: Adapter) -> int:
    """The names of all objects of a page: of flat items in 1 ms per 10,000, where looking into each value takes 9 ms.

    Items are flat where no bracket opens another list than theirs, and no brace another object than the page and each
    of them.
    """
    items = value_at(page, adapter.items)
    if not isinstance(page, dict) or not isinstance(items, list) or set(map(type, items)) != {dict}:
        return _count_names(page)
    is_flat = payload.count(b"{") == 1 + len(items) and payload.count(b"[") == 1
    return len(page) + sum(map(len, items)) if is_flat else _count_names(page)


def _count_names(page: Any) -> int:
    """The names of all objects, level by level. Raises BrokenPageError: there are more than 200 levels."""
    count, level = 0, [page]
    for _ in range(_DEEPEST):
        count += sum(len(one) for one in level if isinstance(one, dict))
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list)))
        level = [one for values in inner for one in values if isinstance(one, (dict, list))]
        if not level:
            return count
    raise BrokenPageError(f"The page is nested more than {_DEEPEST} deep; ask for it again.")


def _require_distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise BrokenPageError(f"An object of the page names {twice[:80]!r} twice; ask for it again.")
    return found
