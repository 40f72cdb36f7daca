"""A plate that changed to the Mercosul form is the same vehicle in every source and table."""

from __future__ import annotations

from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit_tests.integration.small_fleet import DAY, PAID, REFERENCE, bulletin, run_row, to_work, visit_report

BEFORE = "AAA1011"  # PAID before it was registered anew


def test_a_bulletin_with_the_former_plate_declares_a_run_of_the_registered_vehicle(arrivals):
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, "AAA-1011", "06:30", "06:45", 12)))
    arrivals.drop("bulletins/b.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 12)))
    arrivals.read()
    stage = arrivals.stage()
    assert stage.declared_runs(DAY)["plate"].tolist() == [PAID]  # one run, whichever form it is declared under
    (note,) = stage.source_notes(DAY).to_dict("records")
    assert (note["note_code"], note["plate"], note["expected"], note["found"]) == ("plate_form", PAID, PAID, BEFORE)
    assert note["file_name"] == "bulletins/a.csv"


def test_a_visit_report_with_the_former_plate_is_corrected_under_the_new_one(arrivals):
    text = visit_report({PAID: [to_work()]}).decode()
    arrivals.drop("visit_reports/a.csv", text.replace(PAID, BEFORE).encode())
    arrivals.read()
    assert arrivals.stage().visit_legs(DAY)["plate"].tolist() == [PAID]
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work("13.40")]}))
    arrivals.read()
    assert [str(km) for km in arrivals.stage().visit_legs(DAY)["reported_km"]] == ["13.40"]


def test_devices_and_fixed_costs_in_the_former_form_belong_to_the_registered_vehicle(arrivals):
    fixed = "contract_id,plate,amount_brl_per_month,valid_from,valid_to\n"
    tables = REFERENCE | {
        "devices": REFERENCE["devices"].replace(PAID, BEFORE),
        "fixed_costs": f"{fixed}CT-1,{BEFORE},3100,2025-01-01,\nCT-1,{PAID},3100,2025-06-01,\n",
    }
    for name, text in tables.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.read()
    files = ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)
    published = publish(files, "a-run")
    assert BEFORE not in set(published.in_force["devices"].rows["plate"])
    assert published.in_force["fixed_costs"].rows["plate"].tolist() == [PAID]
    (sentence,) = published.excluded
    assert BEFORE in sentence
    assert not publish(files, "another-run").touched  # publishing again changes nothing
