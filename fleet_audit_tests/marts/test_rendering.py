"""Compiled templates come from the cache folder, whatever the state of its files; the SQL is the same."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import jinja2
import pytest

from fleet_audit.marts import rendering, template_cache
from fleet_audit.marts.model import Relation
from fleet_audit.marts.template_cache import TemplateCache

_TEMPLATE = "select * from {{ ref('stg_trips') }} where length(plate) = {{ var('letters') }}"


def _rendered() -> str:
    rendering._compiled.cache_clear()  # as in a new process
    renderer = rendering.Renderer(
        {}, {"letters": 7}, lambda name: Relation("mart", name), lambda _, name: Relation("", name)
    )
    return renderer.render(_TEMPLATE, Path("model.sql")).sql


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of the cache, which does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(rendering, "_COMPILED", TemplateCache(folder))
    return folder


def test_template_renders_alike_from_kept_damaged_and_cut_files(cache, monkeypatch) -> None:
    """A file cut within its pickled checksum ended every process that loaded the code location."""
    first = _rendered()
    (kept,) = cache.iterdir()
    content = kept.read_bytes()
    for damaged in (b"damaged", *(content[:length] for length in range(0, len(content), 7))):
        kept.write_bytes(damaged)
        assert _rendered() == first == "select * from mart.stg_trips where length(plate) = 7"
        assert kept.read_bytes() == content, "what is damaged is replaced"
    monkeypatch.delattr(jinja2.Environment, "compile")
    assert _rendered() == first, "what is kept is not compiled again"


def test_kept_templates_can_be_read_by_every_user(cache) -> None:
    """The installation prepares them as root, and the service's user could not read files with mode 0600."""
    former = os.umask(0o077)
    try:
        _rendered()
    finally:
        os.umask(former)
    assert [stat.S_IMODE(path.stat().st_mode) for path in cache.iterdir()] == [0o644]


def test_the_oldest_templates_make_room_for_new_ones(cache, monkeypatch) -> None:
    monkeypatch.setattr(template_cache, "_MOST_KEPT", 2)
    cache.mkdir()
    for age in (3, 2, 1):
        (cache / f"jinja-3.0.0-{age}.cache").touch()
        os.utime(cache / f"jinja-3.0.0-{age}.cache", (1e9 - age, 1e9 - age))
    _rendered()
    assert {path.name for path in cache.iterdir()} > {"jinja-3.0.0-1.cache"}
    assert len(list(cache.iterdir())) == 2


def test_template_renders_without_a_folder_that_can_be_written(cache) -> None:
    cache.write_text("a file where the folder would be")
    assert _rendered().endswith("= 7")
