"""Compiled templates come from the cache folder, whatever the state of its files; the SQL is the same."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from fleet_audit.marts import rendering
from fleet_audit.marts.model import Relation

_TEMPLATE = "select * from {{ ref('stg_trips') }} where length(plate) = {{ var('letters') }}"


def _rendered() -> str:
    rendering._compiled.cache_clear()  # as in a new process
    renderer = rendering.Renderer(
        {}, {"letters": 7}, lambda name: Relation("mart", name), lambda _, name: Relation("", name)
    )
    return renderer.render(_TEMPLATE, Path("model.sql")).sql


@pytest.mark.parametrize("content", [None, b"", b"damaged"])
def test_template_renders_alike_from_kept_missing_and_damaged_files(tmp_path, monkeypatch, content) -> None:
    monkeypatch.setattr(rendering, "_COMPILED", jinja2.FileSystemBytecodeCache(str(tmp_path)))
    first = _rendered()
    kept = list(tmp_path.iterdir())
    assert kept
    if content is not None:
        for path in kept:
            path.write_bytes(content)
    assert _rendered() == first == "select * from mart.stg_trips where length(plate) = 7"


def test_template_renders_without_a_cache_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rendering, "_COMPILED", jinja2.FileSystemBytecodeCache(str(tmp_path / "missing")))
    assert _rendered().endswith("= 7")
