"""Every page in headless Chromium: axe-core finds nothing, nothing is blocked or wider than the screen.

axe-core is fetched from the npm registry when the test runs; without Chromium, npm or network the test is skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fleet_audit_tests.access.browser import open_browser
from fleet_audit_tests.access.company import DAY, OESTE, key
from fleet_audit_tests.access.tokens import Visiting

AXE = "axe-core@4.14.1"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# a rule fails with its name, and the first element that breaks it
_CHECK = """axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
.then(found => found.violations.map(({id, nodes}) => [id, nodes[0].html.slice(0, 200), nodes[0].failureSummary]))"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    if CHROMIUM is None or npm is None:
        pytest.skip("Chromium or npm is not installed")
    try:
        packed = subprocess.run([npm, "pack", AXE], cwd=folder, check=True, timeout=60, capture_output=True, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("the npm registry does not answer")
    shutil.unpack_archive(folder / packed.stdout.split()[-1], folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text("utf-8")


def test_pages_are_accessible_and_fit_a_phone(
    visiting: Visiting,
    finding: str,
    axe: str,
    tmp_path: Path,
) -> None:
    client, wrong = visiting("oeste"), []
    paths = (
        "/portal/dias", f"/portal/dias/{DAY}", f"/portal/viagens/{key('trip_id', OESTE)}", "/portal/achados",
        f"/portal/achados/{finding}", f"/portal/achados/{finding}/contestar", "/portal/arquivos", "/portal/envios",
        "/portal/nada", "/portal/entrar",
    )  # fmt: skip
    with open_browser(str(CHROMIUM), client, tmp_path) as browser:
        for number, path in enumerate(paths):
            for width, is_dark in ((390, number % 2 == 0), (1280, number % 2 == 1))[: 2 if number < 5 else 1]:
                browser.show(path, width, is_dark=is_dark)
                browser.value(f"{axe};0")
                wrong += [f"{path} at {width}: {one}" for one in browser.value(_CHECK)]
                widest = browser.value("document.documentElement.scrollWidth")
                wrong += [f"{path} is {widest} wide at {width}"] if widest > width else []
        browser.show("/portal/dias", 390, is_dark=False)
        chosen = "const one = document.querySelector('#f-unidade'); one.value = 'USINAB'; one.dispatchEvent(new Event("
        browser.value(f"{{{chosen}'change', {{bubbles: true}}))}};0")
        browser.wait_for("location.search.includes('unidade=USINAB') && !document.querySelector('.htmx-request')")
        assert browser.value("document.querySelector('#f-unidade').value") == "USINAB", "htmx applies a filter at once"
        assert "222.777,77" in browser.value("document.body.innerText")
        assert "111.777,77" not in browser.value("document.body.innerText")
        wrong += [one for one in browser.errors if "404" not in one]
    with open_browser(str(CHROMIUM), visiting("auditora"), tmp_path / "analyst") as browser:
        for path in ("/portal/analise", f"/portal/achados/{finding}/notas"):
            for width in (390, 1280):
                browser.show(path, width, is_dark=width == 390)
                browser.value(f"{axe};0")
                wrong += [f"{path} at {width}: {one}" for one in browser.value(_CHECK)]
                widest = browser.value("document.documentElement.scrollWidth")
                wrong += [f"{path} is {widest} wide at {width}"] if widest > width else []
        wrong += browser.errors
    assert not wrong, "\n".join(wrong)
