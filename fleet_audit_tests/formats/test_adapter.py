"""Another vendor's API needs a file, not code: a server that speaks the second shipped adapter, and wrong files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fleet_audit.errors import PermanentError
from fleet_audit.formats import adapter as adapters
from fleet_audit.formats.adapter import load_adapter
from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit_tests.sources.small_server import answering

KEY = "vendor-key"
START = dt.datetime(2025, 6, 10, 9, 0, tzinfo=dt.UTC)
SECONDS = range(0, 120, 10)
CONTRACT = Path(adapters.__file__).with_name("adapters") / "contract.toml"


def _item(second: int) -> dict[str, object]:
    """As the vendor writes it: 36 km/h are 10 m/s, 1234.5 km are 1,234,500 m."""
    return {
        "vehicle": {"id": 700, "name": "Bus 7"},
        "gps": {
            "timeMs": int(START.timestamp() + second) * 1000,
            "latitude": -22.5,
            "longitude": -52.1,
            "speedMetersPerSecond": 10.0,
        },
        "obdOdometerMeters": {"value": 1_234_500 + second},
        "engineState": {"value": "Idle" if second else "Off"},
        "driver": None,
    }


@pytest.fixture
def vendor() -> Iterator[str]:
    def answer(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(request.path)
        if request.headers["X-Api-Key"] != KEY:
            return 401, {}, b""
        if parts.path != "/fleet/vehicles/stats/history":
            return 404, {}, b""
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        start, end = (int(asked[name]) / 1000 - START.timestamp() for name in ("startMs", "endMs"))
        inside = [_item(second) for second in SECONDS if start <= second < end]
        first = int(asked.get("after", "0"))
        last = first + int(asked["limit"])
        more = {"endCursor": str(last), "hasNextPage": last < len(inside)}
        body = json.dumps({"data": inside[first:last], "pagination": more}).encode()
        return 200, {"X-Request-Id": f"req-{first}"}, body

    with answering(answer) as url:
        yield url


def test_another_vendors_pages_become_positions_in_our_units(vendor: str) -> None:
    adapter = load_adapter("gps_feed")
    api = TelemetryApi(vendor, KEY, adapter=adapter, page_size=5, backoff_s=0.001)
    pages = list(api.pages(START, START + dt.timedelta(seconds=100)))
    assert [(page.rows, page.server_request_id) for page in pages] == [(5, "req-0"), (5, "req-5")]
    rows = [row for page in pages for row in parse_page(page.body, adapter).positions.to_pylist()]
    assert [row["recorded_at"] for row in rows] == [
        START + dt.timedelta(seconds=second) for second in range(0, 100, 10)
    ]
    assert rows[1] == {
        "device_id": "700",
        "recorded_at": START + dt.timedelta(seconds=10),
        "latitude": -22.5,
        "longitude": -52.1,
        "speed_kmh": 36.0,
        "odometer_km": pytest.approx(1234.51),
        "passengers": None,
        "ignition": True,
        "driver_id": None,
        "row_number": 2,
    }
    assert rows[0]["ignition"] is False


def test_a_wrong_type_of_another_vendor_counts_as_absent_too() -> None:
    bad = _item(0) | {"obdOdometerMeters": "far", "vehicle": {"id": "700"}, "engineState": {"value": 1}}
    page = parse_page(
        json.dumps({"data": [bad, _item(10) | {"obdOdometerMeters": "far"}]}).encode(), load_adapter("gps_feed")
    )
    assert list(page.rejected["reason_code"]) == ["missing_value"]
    assert page.positions.column("odometer_km").to_pylist() == [None]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[answer]", "[reply]", "[answer] is missing"),
        ('path = "/v1/positions"', 'path = "v1"', "request.path must start with /"),
        ('"Bearer {token}"', '"Bearer"', "request.header_value must contain {token}"),
        ('instants = "iso"', 'instants = "days"', "request.instants must be one of"),
        ("page_size = 10000", 'page_size = "many"', "request.page_size must be a whole number"),
        ('device_id = { path = "device_id" }', "", "fields.device_id is missing"),
        ('{ path = "speed_kmh" }', '{ path = "speed", unit = "furlongs" }', "fields.speed_kmh.unit must be one of"),
        ('{ path = "odometer_km" }', '"odometer"', "fields.odometer_km must be a table"),
        (
            '{ path = "ignition" }',
            '{ path = "ignition", yes = ["On"] }',
            "fields.ignition has the unknown keys",
        ),
        ('{ path = "latitude" }', '{ path = "gps..lat" }', "fields.latitude.path must be a path"),
        ("[fields]", "[fields]\nheading = { path = 'heading' }", "[fields] has the unknown keys ['heading']"),
        ("[request]", "[request", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it_and_the_key(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    content = CONTRACT.read_text()
    assert old in content
    path = tmp_path / "vendor.toml"
    path.write_text(content.replace(old, new, 1))
    with pytest.raises(PermanentError) as refusal:
        load_adapter(str(path))
    assert sentence in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_name_of_nothing_lists_the_shipped_ones() -> None:
    with pytest.raises(PermanentError, match=r"FLEET_API_ADAPTER names 'nowhere'.*contract, gps_feed"):
        load_adapter("nowhere")
