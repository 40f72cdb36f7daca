"""A page of the API is accepted only when its bytes are one whole JSON document in which every name stands once."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest

from fleet_audit.formats.adapter import CONTRACT
from fleet_audit.formats.api_page.decoding import (
    BrokenPageError,
    decode_page,
    error_beside_items,
    outline,
    outline_again,
)
from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.formats.parsed import RejectedFile

ITEM = b'{"device_id":"23","timestamp":"2025-06-10T09:04:35Z","odometer_km":100.5}'


def _page(item: bytes) -> bytes:
    return b'{"data":[' + ITEM + b"," + item + b'],"next_cursor":null}'


BROKEN = {
    "cut": b'{"data": [{"device_id": "2',
    "empty": b"",
    "not UTF-8": b"\xff",
    "Latin-1 in a field that is not read": _page(b'{"device_id":"1","note":"Jos\xe9"}'),
    "overlong UTF-8": _page(b'{"device_id":"\xc0\xaf"}'),
    "half a surrogate pair as bytes": _page(b'{"note":"\xed\xa0\x80"}'),
    "6,000 digits": _page(b'{"device_id":"1","odometer_km":' + b"9" * 6000 + b"}"),
    "nan": _page(b'{"device_id":"1","odometer_km":nan}'),
    "Inf": _page(b'{"device_id":"1","odometer_km":Inf}'),  # Arrow's reader takes it for a number
    "two documents": b'{"data":[],"next_cursor":null}{"data":[]}',
    "text after it": b'{"data":[],"next_cursor":null} <html>',
    "a control character in a text": _page(b'{"device_id":"a\x01"}'),
    "nested 100,000 deep": b"[" * 100_000,
    "nested deep in a field that is not read": _page(b'{"note":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    "lists nested 300 deep": _page(b'{"note":' + b"[" * 300 + b"]" * 300 + b"}"),
    "objects nested 600 deep": _page(b'{"note":' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}"),
    "objects nested 900 deep beside a colon in a text": _page(
        b'{"note":' + b"[" * 900 + b'{"b":"\\":"}' + b"]" * 900 + b"}"
    ),
    "objects nested 900 deep in a field that is named again": _page(
        b'{"note":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b',"note":1}'
    ),
    "data twice": b'{"data":[' + ITEM + b'],"next_cursor":null,"data":[]}',
    "a field twice": _page(b'{"device_id":"1","device_id":"2"}'),
    "a field twice, once escaped": _page(b'{"device_id":"1","device_i\\u0064":"2"}'),
    "a field twice, spaced": _page(b'{"device_id" :"1","device_id" :"2"}'),
    "a field twice, spaced by a line": _page(b'{"device_id"\r\n\t:"1","device_id":"2"}'),
    "a field twice beside a brace and a colon in a text": _page(b'{"note":"{\\":","device_id":"1","device_id":"2"}'),
    "a field of a nested object twice": _page(b'{"device_id":"1","place":{"name":1,"name":2}}'),
    "a field that is not read, twice": _page(b'{"device_id":"1","note":1,"note":2}'),
}
WRONG_SHAPES = [b"null", b"5", b'"a"', b"true", b"[]", b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":"x"}',
                b'{"data":[],"next_cursor":5}', b'{"data":[],"next_cursor":["a"]}']  # fmt: skip


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_bytes_that_are_not_one_whole_document_are_refused(payload: bytes) -> None:
    with pytest.raises(BrokenPageError):
        outline(payload)


@pytest.mark.parametrize("last", [b"null", b"{}", b'"x"'])
def test_a_list_of_items_that_is_named_again_is_no_fault_of_the_configuration(last: bytes) -> None:
    with pytest.raises(BrokenPageError, match="names 'data' twice"):
        outline(b'{"data":[' + ITEM + b'],"data":' + last + b"}")


def test_names_of_a_page_that_is_a_list_are_compared_beside_a_brace_in_a_text() -> None:
    with pytest.raises(BrokenPageError, match="names 'a' twice"):
        outline(b'[{"a":1,"a":2,"b":"{"}]', replace(CONTRACT, items=()))


@pytest.mark.parametrize(
    "item", [b'{"note":"{ \\" : }"}', b'{"place" : {"name":1},"device":{"name":1}}', b"[{}]", b"5"]
)
def test_braces_and_colons_of_texts_and_of_nested_objects_are_no_field_twice(item: bytes) -> None:
    assert outline(_page(item)) == (2, None)


@pytest.mark.parametrize("payload", WRONG_SHAPES)
def test_a_document_of_another_form_is_refused(payload: bytes) -> None:
    """`null` ended the process with SIGSEGV in Arrow's reader."""
    with pytest.raises(RejectedFile):
        outline(payload)


_FAILURES = [b'"error":"backend unavailable"', b'"errors":[{"code":503}]', b'"error":{"code":0,"message":"db down"}',
             b'"error_message":"x"', b'"success":false', b'"success":"false"', b'"success":0', b'"status":"error"',
             b'"error":true', b'"errors":2', b'"Error":"db down"', b'"meta":{"error":"db down"}',
             b'"meta":{"Status":"error"}']  # fmt: skip


@pytest.mark.parametrize("member", _FAILURES)
def test_a_page_without_items_that_says_it_failed_is_no_empty_day(member: bytes) -> None:
    """Nor is one that was accepted and archived before."""
    for read in (outline, outline_again):
        with pytest.raises(RejectedFile, match="says that it failed"):
            read(b'{"data":[],"next_cursor":null,%s}' % member)


@pytest.mark.parametrize("member", [*_FAILURES, b'"errors":[{"device":"X9","reason":"offline since 2024"}]'])
def test_items_beside_an_error_are_a_page(member: bytes) -> None:
    for read in (outline, outline_again):
        assert read(b'{"data":[%s],"next_cursor":null,%s}' % (ITEM, member)) == (1, None)
    named = error_beside_items(b'{"data":[%s],"next_cursor":null,%s}' % (ITEM, member))
    assert named is not None
    assert named.split(".")[-1].encode() in member


@pytest.mark.parametrize(
    "member",
    [b'"error":null', b'"error":""', b'"error":"none"', b'"error":"0"', b'"error":0', b'"error":false', b'"error":{}',
     b'"errors":[]', b'"errors":[null]', b'"errors":{"count":0}', b'"error":{"code":0,"message":""}',
     b'"error":{"code":"0","message":"OK"}', b'"success":true', b'"success":null', b'"success":1', b'"status":"ok"',
     b'"meta":{"error":null,"status":"ok"}'],
)  # fmt: skip
def test_a_page_without_items_that_names_no_error_is_an_empty_day(member: bytes) -> None:
    """It was refused on every try, and its day never closed."""
    for read in (outline, outline_again):
        assert read(b'{"data":[],"next_cursor":null,%s}' % member) == (0, None)
    assert error_beside_items(b'{"data":[%s],"next_cursor":null,%s}' % (ITEM, member)) is None


@pytest.mark.parametrize("payload", [one for one in WRONG_SHAPES if b"cursor" not in one])
def test_a_document_of_another_form_is_refused_when_it_is_read_too(payload: bytes) -> None:
    with pytest.raises(RejectedFile):
        parse_page(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'\xef\xbb\xbf{"data":[],"next_cursor":null}',
        b' \r\n{ "data" : [ ] , "next_cursor" : null }\n',
        _page(b'{"device_id":"a\\":b"}'),
        _page(b'{"odometer_km":1e400}'),
        _page(b'{"odometer_km":NaN,"latitude":-Infinity,"note":Infinity}'),
        _page(b"NaN"),
        _page(b'{"odometer_km":' + b"9" * 400 + b"}"),
        _page(b'{"driver_id":"\\ud800"}'),
        _page(b'{"device":{"name":1},"vehicle":{"name":2}}'),
        _page(b'{"note":"x: y","other":":::"}'),
    ],
)
def test_json_that_is_only_unusual_is_a_page(payload: bytes) -> None:
    count, cursor = outline(payload)
    assert count == len(json.loads(payload.decode("utf-8-sig"))["data"])
    assert cursor is None
    assert outline_again(payload) == (count, cursor)
    assert parse_page(payload).rows == count


@pytest.mark.parametrize(
    "more", [b'"more":1', b'"more":0', b'"more":"true"', b'"more":[]', b'"more":null', b'"mais":true']
)
def test_a_mark_of_further_pages_that_is_no_boolean_never_ends_the_window(more: bytes) -> None:
    """The window ended at its first page, and was recorded as answered in full."""
    adapter = replace(CONTRACT, has_more=("more",))
    payload = b'{"data":[' + ITEM + b'],"next_cursor":"c",' + more + b"}"
    for read in (outline, outline_again):
        with pytest.raises(RejectedFile, match="more is not true or false"):
            read(payload, adapter)


@pytest.mark.parametrize(
    ("following", "more"),
    [(following, more) for following in (b'"c"', b'""', b"null") for more in (b"true", b"false", b"null")
     if (following, more) != (b'"c"', b"null")],
)  # fmt: skip
def test_a_page_that_was_received_before_has_the_same_outline(more: bytes, following: bytes) -> None:
    adapter = replace(CONTRACT, items=("result", "rows"), next_cursor=("page", "next"), has_more=("result", "more"))
    payload = b'{"page":{"next":%s},"result":{"rows":[%s,%s],"more":%s}}' % (following, ITEM, ITEM, more)
    assert outline_again(payload, adapter) == outline(payload, adapter)
    for other in (b'{"result":[]}', b'{"result":{"rows":[],"more":true},"page":{"next":7}}', b"null"):
        with pytest.raises(RejectedFile):
            outline_again(other, adapter)


def _mutated(payload: bytes, noise: random.Random) -> bytes:
    """The page with some of its bytes replaced, removed, repeated or cut off."""
    body = bytearray(payload)
    for _ in range(noise.randint(1, 3)):
        at, length = noise.randrange(len(body) + 1), noise.randint(1, 40)
        kind = noise.randrange(8)
        if kind == 0:
            body[at : at + 1] = bytes([noise.randrange(256)])
        elif kind == 1:
            del body[at : at + length]
        elif kind == 2:
            body[at:at] = body[at : at + length]
        elif kind == 3:
            body = body[: max(at, 1)]
        else:  # a value becomes another one
            values = [*re.finditer(rb"(?<=: )[^,}\]]+|(?<=\[)\{", body)]
            if values:
                chosen = noise.choice(values)
                body[chosen.start() : chosen.end()] = noise.choice(_VALUES)
    return bytes(body)


_VALUES = [
    *(b"null", b"NaN", b"{}", b"[]", b'"', b"-", b",", b":", b"true", b"[[[[", b"\n", b"\r", b"\x00", b"\xff"),
    *(
        b'""',
        b'"\\u0000"',
        b'"\\ud800"',
        b'" 7 "',
        b'"0"',
        b'"2025-06-10"',
        b'"1970-01-01T00:00:00Z"',
        b'{"a":{"b":[1]}}',
    ),
    *(
        b"0",
        b"-0.0",
        b"1e999",
        b"-1e-999",
        b"1E5",
        b"91",
        b"01",
        b"9" * 40,
        b"9" * 400,
        b"9" * 5_000,
        b"0." + b"3" * 5_000,
    ),
]


def fuzz(rounds: int, seed: int) -> dict[str, int]:
    """Mutates pages and reads them; counts what was refused and read, and fails where the two readers disagree."""
    noise = random.Random(seed)
    counts = {"refused": 0, "read": 0, "rows": 0}
    rows = [
        {"device_id": f"d{n % 3}", "timestamp": f"2025-06-10T09:{n:02}:35Z", "latitude": -22.5, "longitude": -52.1,
         "speed_kmh": 40, "odometer_km": 100 + n, "ignition": True, "driver_id": "Zé Ação", "passengers": n}
        for n in range(6)
    ]  # fmt: skip
    pages = [json.dumps({"data": rows[:n], "next_cursor": c}).encode() for n in (0, 1, 6) for c in (None, "c")]
    pages += [json.dumps({"data": rows, "next_cursor": None}, ensure_ascii=False, indent=1).encode()]
    for _ in range(rounds):
        payload = _mutated(noise.choice(pages), noise)
        try:
            count, cursor = outline(payload)
        except RejectedFile:
            counts["refused"] += 1
            continue
        decode_page(payload)
        assert outline_again(payload) == (count, cursor), payload
        parsed = parse_page(payload, driver_key=b"key")
        assert parsed.rows == count == parsed.positions.num_rows + parsed.rejected["row_number"].nunique(), payload
        assert json.dumps(rows[0]["driver_id"]) not in json.dumps(parsed.positions.to_pylist(), default=str), payload
        counts["read"] += 1
        counts["rows"] += count
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_no_body_crashes_the_reader_or_loses_a_row(seed: int) -> None:
    counts = fuzz(500, seed)
    assert min(counts["refused"], counts["read"]) > 50
