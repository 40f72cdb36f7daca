"""Documents of a day and of a closed cycle are, word for word and cent for cent, those committed."""

from __future__ import annotations

import pytest

from fleet_audit_tests.reporting.golden import FOLDER, REFRESH, documents


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return documents()


@pytest.mark.parametrize(
    "name", ["d1.txt", "relatorio_mensal.txt", "pacote_medicao.txt", "copia_da_transportadora.txt"]
)
def test_the_document_is_the_committed_one(made: dict[str, str], name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    found = made[name].splitlines()
    first = next((pair for pair in zip(found, committed, strict=False) if pair[0] != pair[1]), None)
    assert found == committed, f"{name} changed, first in {first}; if that is meant: {REFRESH}"
