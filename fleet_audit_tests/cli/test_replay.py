"""What `--as-of` may say, and which instant it means."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.cli.replay import parse_as_of
from fleet_audit.errors import PermanentError


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-07-01T05:00:00Z", "2025-07-01T05:00:00+00:00"),
        ("2025-07-01T02:00-03:00", "2025-07-01T05:00:00+00:00"),
        ("2025-07-01T05:00:00.5+00:00", "2025-07-01T05:00:00.500000+00:00"),
        ("2025-07-01", "2025-07-02T02:59:59.999999+00:00"),  # the end of the day in São Paulo
        ("2024-02-29", "2024-03-01T02:59:59.999999+00:00"),
        ("2024-12-31", "2025-01-01T02:59:59.999999+00:00"),
        ("2018-12-31", "2019-01-01T01:59:59.999999+00:00"),  # there was summer time then
    ],
)
def test_an_instant_with_its_offset_or_the_end_of_a_day(text, instant) -> None:
    assert parse_as_of(text) == dt.datetime.fromisoformat(instant)
    assert parse_as_of(text).tzinfo is dt.UTC


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2025-07-01T05:00:00", "has no offset"),
        ("yesterday", "neither an instant"),
        ("2025-02-30", "neither an instant"),
        ("9999-12-31", "neither an instant"),
        ("01/07/2025", "neither an instant"),
        ("", "neither an instant"),
        ("2025-07-01T25:00Z", "neither an instant"),
        ("0001-01-01T00:00+14:00", "neither an instant"),
    ],
)
def test_anything_else_is_named_in_one_sentence(text, sentence) -> None:
    with pytest.raises(PermanentError, match=sentence) as raised:
        parse_as_of(text)
    assert str(raised.value).startswith("--as-of")
