"""A headless Chromium over its debugging protocol, whose requests are answered by a test client: no port, no TLS.

What is looked for on a page is in the tests.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from websockets.sync.client import ClientConnection

from fleet_audit_tests.chromium import open_page

ORIGIN = "https://testserver"


class Browser:
    """One page of a browser."""

    def __init__(self, connection: ClientConnection, client: TestClient) -> None:
        """Every request to ORIGIN is answered by the client, with the client's cookies."""
        self._connection, self._client, self._numbers = connection, client, itertools.count(1)
        self.errors: list[str] = []
        for domain in ("Page", "Log", "Runtime"):
            self.command(f"{domain}.enable")
        self.command("Fetch.enable", patterns=[{"urlPattern": "*"}])

    def show(self, path: str, width: int, *, is_dark: bool) -> None:
        """Loads a page at a width, and waits until htmx has its parts too."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Emulation.setEmulatedMedia", features=scheme)
        self.command("Page.navigate", url=ORIGIN + path)
        ready = "document.readyState === 'complete' && !document.querySelector('.waiting, .htmx-request')"
        self.wait_for(f"location.href === {json.dumps(ORIGIN + path)} && {ready}")

    def wait_for(self, condition: str) -> None:
        """Waits until a script is true, at most 120 s."""
        end = time.monotonic() + 120
        while time.monotonic() < end and not self.value(condition):
            time.sleep(0.02)

    def value(self, script: str) -> Any:
        """What a script evaluates to, as JSON; a promise is awaited."""
        found = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; requests that the page makes meanwhile are answered."""
        number = next(self._numbers)
        self._send(number, method, parameters)
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == number:
                return dict(message.get("result", {}))
            if message.get("method") == "Fetch.requestPaused":
                self._answer(message["params"])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])

    def _answer(self, paused: dict[str, Any]) -> None:
        request = paused["request"]
        sent = {name: value for name, value in request["headers"].items() if name.lower() != "cookie"}
        answer = self._client.request(request["method"], request["url"].removeprefix(ORIGIN), headers=sent)
        headers = [{"name": name, "value": value} for name, value in answer.headers.items()
                   if name != "set-cookie"]  # fmt: skip
        body = base64.b64encode(answer.content).decode()
        values = {"requestId": paused["requestId"], "responseCode": answer.status_code, "responseHeaders": headers}
        self._send(next(self._numbers), "Fetch.fulfillRequest", {**values, "body": body})

    def _send(self, number: int, method: str, parameters: dict[str, Any]) -> None:
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))


@contextmanager
def open_browser(program: str, client: TestClient, profile: Path) -> Iterator[Browser]:
    """A new browser with an empty profile; ends with the block."""
    with open_page(program, profile) as connection:
        yield Browser(connection, client)
