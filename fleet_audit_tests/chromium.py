"""A page of a headless Chromium as a connection of its debugging protocol.

What is done with the page belongs to its users: the tests of the portal, and the pictures of the documents.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect


@contextmanager
def open_page(program: str, profile: Path) -> Iterator[ClientConnection]:
    """The page of a new browser with an empty profile, as a connection that takes commands; ends with the block."""
    arguments = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-port=0"]
    process = subprocess.Popen([program, *arguments, f"--user-data-dir={profile}"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next(one for one in process.stderr if "DevTools listening" in one)
        port = re.findall(r":(\d+)/", line)[0]
        with urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], max_size=None) as connection:
            yield connection
    finally:
        process.terminate()
        process.wait(120)
