"""Each bad file of the corpus ends as it should, and no row of any vanishes."""

from __future__ import annotations

import pytest

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.reasons import FILE, REASONS
from fleet_audit_tests.formats.corpus import CASES, Case
from fleet_audit_tests.formats.samples import read
from fleet_audit_tests.formats.test_hostile_bytes import check


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_a_bad_file_ends_in_rows_or_in_one_sentence(case: Case) -> None:
    if case.refusal:
        with pytest.raises(RejectedFile, match=r"^[A-Z].{20,600}[.]$") as refused:
            read(case.kind, case.content, case.file_name)
        assert refused.value.code == case.refusal
        assert REASONS[case.refusal].scope == FILE
        return
    parsed = read(case.kind, case.content, case.file_name)
    check(parsed, case.kind)
    counts = (parsed.rows_read, len(parsed.rows), parsed.rows_rejected, parsed.rows_duplicate)
    assert counts == case.counts
    assert tuple(sorted(set(parsed.rejected["reason_code"]))) == case.codes
