"""Random faults, one per trial: does one ordinary run after it end in the same rows and bytes?

    python -m benchmarks.faults --trials 20 --seed 1

Each trial copies an installation of a small fleet whose two days were run, disturbs it or another run of the second day
(`fault_kinds`), and then does what an operator does: one ordinary run of both days, without marts and reports. Counts
by kind are printed at the end. `--s3` keeps the lake on a real S3 server, which can be killed then. `disk full` needs
root, for a disk of its own; `clock changed` needs Debian's `faketime`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fault_kinds import DISTURBED, FAULTS, FAULTS_ON_S3, FULL_DISK, Trial
from benchmarks.fault_processes import TOKEN, close_provisionally, import_modules, load_pipeline, start_api, start_run
from fleet_audit.ingest import journal
from fleet_audit.settings import load_settings
from fleet_audit.storage.lake import Lake
from fleet_audit_tests.integration.installation import Installation
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    SEEN_TWICE,
    bulletin,
    drive,
    from_work,
    run_row,
    telemetry,
    to_work,
    visit_report,
    write_inbox,
)
from fleet_audit_tests.ports import free_port
from fleet_audit_tests.seaweed import Seaweed

DAYS = (DAY, DISTURBED)
COMPARED = (
    "staging",
    "trips",
    "closes",
)  # folders of the lake whose bytes are compared; reports name the time of their run
MAX_FREE_MB = 16  # left on a full disk; a run of the small fleet with 31 MB left had enough
NOT_COMPARED = ("computed_at", "changed_at")
SAME, AFTER_SENDING, DIFFERENT = "same after one run", "same once the inbox was sent again", "not the same"
FAILED = "the ordinary run failed"  # it may have left all as it was, which proves nothing


def _write_inbox(folder: Path) -> Path:
    files = {}
    for day in DAYS:
        files[f"visit_reports/visit_{day}.csv"] = visit_report({PAID: [to_work(), from_work()]}, day)
        files[f"bulletins/{day}.csv"] = bulletin(run_row(1, PAID, "06:30", "06:45", 12, day))
        files[f"telemetry/{day}.csv"] = telemetry(drive(SEEN_TWICE, "06:30", day))
    return write_inbox(folder, files)


def _write_positions(path: Path) -> Path:
    """Positions of a bus for the API, the columns of what `simulate` writes."""
    rows = [row.split(",") for day in DAYS for row in drive(PAID, "06:30", day)]
    columns = {
        "device_id": [row[0] for row in rows],
        "timestamp": pa.array([row[1] for row in rows]).cast(pa.timestamp("us", "UTC")),
        "driver_id": pa.nulls(len(rows), pa.string()),
        "latitude": [float(row[7]) for row in rows],
        "longitude": [float(row[8]) for row in rows],
        "speed_kmh": [float(row[9]) for row in rows],
        "odometer_km": [float(row[3]) for row in rows],
        "ignition": [True] * len(rows),
        "passengers": pa.nulls(len(rows), pa.int64()),
    }
    columns["uploaded_at"] = columns["timestamp"]
    pq.write_table(pa.table(columns), path)
    return path


def _run(home: Installation) -> tuple[int | None, list[str], dict[str, object]]:
    """One ordinary run of both days: its exit code, its lines that name a fault, and the state after it.

    The state has a digest per fact table, without what names a run, and per file of the lake's tables, and
    the arrivals of the journal.
    """

    def print_state() -> None:
        for name, frame in home.facts(DAYS).items():
            rows = frame.drop(columns=[*NOT_COMPARED], errors="ignore").to_csv(index=False)
            print(json.dumps([name, hashlib.sha256(rows.encode()).hexdigest()]))
        lake = Lake(load_settings())
        for path in [path for folder in COMPARED for path in lake.list(folder)]:
            print(json.dumps([path, lake.sha256(path)]))
        for entry in journal.arrivals(lake):
            known = [str(entry[name]) for name in ("file_name", "file_sha256", "received_at", "is_duplicate")]
            print(json.dumps([f"journal of {known[0]}", known]))
        for path in lake.list(f"{journal.FOLDER}/closes"):
            print(json.dumps([path, lake.exists(path)]))
        print("imported", *sys.modules)

    child = start_run(home, *DAYS, then=print_state)
    lines = [line.strip() for line in child.wait().splitlines()]
    import_modules(name for line in lines if line.startswith("imported ") for name in line.split()[1:])
    state = dict(json.loads(line) for line in lines if line.startswith("["))
    words = ("error", "warning", "failed", "damaged", "cannot", "does not exist", "computed again")
    reasons = [
        line[:300] for line in lines if not line.startswith("imported ") and any(word in line.lower() for word in words)
    ]
    return child.exit_code, reasons, state


def _copy(template: Path, root: Path, free_mb: int | None) -> None:
    """Copies an installation, owners included: the embedded server's account is another.

    `free_mb`: onto a disk of its own, which has no more than that left.
    """
    if free_mb is not None:
        used = int(
            subprocess.run(["du", "-sm", template], check=True, capture_output=True, text=True).stdout.split()[0]
        )
        root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + free_mb}m", "tmpfs", root], check=True)
        root.chmod(0o755)
    subprocess.run(["cp", "-a", f"{template}/.", root], check=True)


def _trial(template: Path, kind: str, made: Trial, expected: dict[str, object], seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    root = template.parent / f"trial_{seed}"
    free_mb = chance.randint(0, MAX_FREE_MB) if kind == FULL_DISK else None
    _copy(template, root, free_mb)
    if made.s3:
        made.s3.folder = root / "s3"
        made.s3.start()
    try:
        home = Installation(root / "home", str(root / "inbox"), None, made.home.others)
        made.home, made.chance = home, chance
        fault = (FAULTS_ON_S3 if made.s3 else FAULTS)[kind](made)
        code, lines, found = _run(home)
        outcome = DIFFERENT if found != expected else SAME if code == 0 else FAILED
        differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        if outcome == DIFFERENT:
            for path in (root / "inbox").rglob("*.csv"):
                path.touch()
            outcome = AFTER_SENDING if _run(home)[2] == expected else DIFFERENT
    finally:
        if made.s3:
            made.s3.kill()
        if free_mb is not None:
            subprocess.run(["umount", "--lazy", root], check=False)
        shutil.rmtree(root, ignore_errors=True)
    return {"kind": kind, "seed": seed, "fault": fault if free_mb is None else f"{free_mb} MB left, {fault}",
            "exit_code": code, "lines": lines, "outcome": outcome, "differing": differing}  # fmt: skip


def _processor_s() -> float:
    """Processor time of this process and its ended children; the embedded PostgreSQL is not one of them."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(arguments: Sequence[str] | None = None) -> int:
    """Does the trials, prints a line for each and the counts; 1 when one of them was not the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=len(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", help="comma separated, tried in turn; without it all")
    parser.add_argument("--s3", action="store_true", help="the lake on S3")
    given = parser.parse_args(arguments)
    kinds = given.kinds.split(",") if given.kinds else [*(FAULTS_ON_S3 if given.s3 else FAULTS)]
    counts: Counter[tuple[str, str]] = Counter()
    load_pipeline()
    work = Path(tempfile.mkdtemp(prefix="faults"))
    template, port = work / "template", free_port()
    positions = _write_positions(work / "positions.parquet")
    api = start_api(positions, port, work / "api.log")
    others = {"FLEET_API_URL": f"http://127.0.0.1:{port}", "FLEET_API_TOKEN": TOKEN}
    s3 = Seaweed(template / "s3") if given.s3 else None
    if s3:
        others |= {"FLEET_LAKE_URL": f"s3://{s3.server.bucket}/lake", **s3.server.variables()}
    home = Installation(template / "home", str(_write_inbox(template / "inbox")), None, others)
    home.home.mkdir(parents=True)
    made = Trial(home, random.Random(given.seed), 0.0, api, positions, port, s3)
    try:
        if s3:
            s3.folder.mkdir()
            s3.start()
        began = time.monotonic()
        code, lines, expected = _run(home)
        assert code == 0, f"the run without a fault ended with {code}: {lines}"
        made.run_s = time.monotonic() - began
        closed = close_provisionally(home, DAY)
        assert "FAILED" not in closed.wait(), closed.output.read_text()
        assert closed.exit_code == 0, closed.output.read_text()
        code, lines, expected = _run(home)
        assert code == 0, f"the run after the close ended with {code}: {lines}"
        if s3:
            s3.kill()
        for number in range(given.trials):
            before = _processor_s()
            found = _trial(template, kinds[number % len(kinds)], made, expected, given.seed + number)
            found["processor_s"] = round(_processor_s() - before, 1)
            counts[str(found["kind"]), str(found["outcome"])] += 1
            print(json.dumps(found, ensure_ascii=False), flush=True)
    finally:
        made.api.kill()
        if s3:
            s3.kill()
        shutil.rmtree(work, ignore_errors=True)
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind:24} {outcome:36} {count}")
    return int(any(outcome != SAME for _, outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
