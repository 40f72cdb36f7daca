"""Takes the pictures of the UI in docs/images: `python -m docs.pictures` after `make demo` and beside `make dev`.

Chromium (Debian's package) is driven over its debugging protocol, because a page of Dagster is drawn seconds after it
was loaded. Pictures have 256 colours, so that each stays below 200 kB.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from PIL import Image
from websockets.sync.client import ClientConnection

from fleet_audit_tests.chromium import open_page

IMAGES = Path(__file__).with_name("images")
MAX_BYTES = 200_000
_DRAWN_AFTER_S = 40.0  # edges of the lineage come last; 15 s were not enough on a busy machine
_SPINE = (
    "raw/positions",
    "ops/ingested_files",
    "staging/positions",
    "staging/declared_runs",
    "trips/trip_window",
    "fact/trips",
    "fact/trip_costs",
    "fact/matches",
    "fact/findings",
    "reports/d1",
    "reports/cycle",
)  # all 80 assets at once fit no picture
_SELECTION = quote(" or ".join(f'key:"{key}"' for key in _SPINE), safe="")
# name: path of the page, width, height
PAGES = {
    "asset_graph": (f"/asset-groups~{_SELECTION}", 1900, 640),
    "asset_checks": ("/assets/ops/ingested_files?view=checks", 1500, 560),
    "asset_numbers": ("/assets/fact/trip_costs?view=events", 1500, 680),
    "automation": ("/automation", 1500, 900),
}


@click.command()
@click.option("--url", default="http://127.0.0.1:3000", show_default=True, help="Address of the UI.")
@click.option("--only", multiple=True, type=click.Choice(list(PAGES)), help="Only these pictures.")
@click.option("--out", type=click.Path(path_type=Path), default=IMAGES, help="Folder to write into.")
def main(url: str, only: tuple[str, ...], out: Path) -> None:
    """Take the pictures of docs/tour.md and of the README."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        open_page("chromium", Path(profile)) as browser,
    ):
        for name in only or PAGES:
            path, width, height = PAGES[name]
            picture = _small(_screenshot(browser, url + path, width, height))
            if len(picture) > MAX_BYTES:
                raise click.ClickException(f"{name} has {len(picture):,} bytes, more than {MAX_BYTES:,}.")
            (out / f"{name}.png").write_bytes(picture)
            click.echo(f"{out / name}.png: {len(picture):,} bytes")


_numbers = itertools.count(1)


def _command(browser: ClientConnection, method: str, **parameters: Any) -> dict[str, Any]:
    """The result of a command; events between are passed over."""
    number = next(_numbers)
    browser.send(json.dumps({"id": number, "method": method, "params": parameters}))
    while (answer := json.loads(browser.recv())).get("id") != number:
        pass
    return dict(answer["result"])


def _screenshot(browser: ClientConnection, url: str, width: int, height: int) -> bytes:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    _command(browser, "Emulation.setDeviceMetricsOverride", **size)
    _command(browser, "Page.navigate", url=url)
    time.sleep(_DRAWN_AFTER_S)
    return base64.b64decode(_command(browser, "Page.captureScreenshot", format="png")["data"])


def _small(picture: bytes) -> bytes:
    """The picture with a palette of 256 colours."""
    written = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        written, "png", optimize=True
    )
    return written.getvalue()


if __name__ == "__main__":
    main()
