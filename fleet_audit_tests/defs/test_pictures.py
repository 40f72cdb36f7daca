"""What the UI is given to show: an image in the Markdown that it renders, with an alternative text."""

from __future__ import annotations

import base64
import re

from fleet_audit.defs.pictures import embedded


def test_a_picture_is_a_markdown_image_that_carries_itself():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" aria-label="Cobertura [a] &amp; b: 1 &lt; 2"/>'
    found = re.fullmatch(r"!\[([^\]]*)\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", embedded(svg))
    assert found
    assert found.group(1) == "Cobertura a & b: 1 < 2"
    assert base64.b64decode(found.group(2)).decode() == svg


def test_an_empty_picture_names_what_is_missing():
    assert embedded("") == "Nothing to show."
