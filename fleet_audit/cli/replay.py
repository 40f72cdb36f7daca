"""Past runs and closed cycles computed again, each in an installation of its own under the home.

Their inputs come from the archive, never from the inbox or the API; what is compared is in `closing.replay`.
"""

from __future__ import annotations

import atexit
import datetime as dt
import os
import re
import shutil
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from fleet_audit.cli.run import Progress, run_days
from fleet_audit.closing.archive import days_of
from fleet_audit.closing.code import code_version
from fleet_audit.closing.freezing import existing_close, read_manifest
from fleet_audit.closing.replay import (
    Verdict,
    compare,
    fill_from,
    has_key_of,
    settings_of,
    verify_frozen,
    version_sentence,
)
from fleet_audit.closing.scratch import fill, inputs_as_of
from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.settings import Settings, load_settings

# Of another installation: all it holds was put there, and its warehouse is an embedded one of its own.
_ELSEWHERE = dict.fromkeys(("FLEET_INBOX_URL", "FLEET_API_URL", "FLEET_LAKE_URL", "FLEET_WAREHOUSE_URL"), "")


def parse_as_of(text: str) -> dt.datetime:
    """An ISO instant with its offset, or a day: its last instant in São Paulo. PermanentError for anything else."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            following = dt.date.fromisoformat(text) + dt.timedelta(days=1)
            midnight = dt.datetime.combine(following, dt.time(), ZoneInfo(PARTITION_ZONE))
            return midnight.astimezone(dt.UTC) - dt.timedelta(microseconds=1)
        instant = dt.datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise PermanentError(f"--as-of {text} has no offset: write {text}Z for UTC or {text}-03:00 for São Paulo.")
        return instant.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise PermanentError(
            f"--as-of {text!r} is neither an instant such as 2025-07-01T05:00:00Z nor a day such as 2025-07-01."
        ) from None


def as_of_installation(settings: Settings, instant: dt.datetime) -> Settings:
    """An installation under the home that holds what had arrived by an instant, made the environment's own.

    Raises PermanentError when the instant is in the future, or nothing had arrived by then.
    """
    if instant > dt.datetime.now(dt.UTC):
        raise PermanentError(f"--as-of {instant.isoformat()} is in the future: name one that has passed.")
    source = Installation(settings).stores()
    inputs = inputs_as_of(source, instant)
    scratch = use_home(settings.home / "as-of" / instant.strftime("%Y%m%dT%H%M%S.%fZ"), {})
    fill(Installation(scratch).stores(), source, *inputs)
    return scratch


def replay_cycle(settings: Settings, start: dt.date, progress: Progress) -> Verdict:
    """Compute a closed cycle again from its manifest's inputs and compare.

    A replay exists to find a manifest or an archived file that changed: the verdict names it.
    Raises PermanentError when the cycle is not closed, or the key of pseudonyms is another.
    """
    source = Installation(settings).stores()
    record = existing_close(source.warehouse, start, "final") or existing_close(source.warehouse, start, "provisional")
    if record is None:
        raise PermanentError(f"The cycle of {start} is not closed: fleet-audit close --cycle {start} does that.")
    try:
        manifest = read_manifest(source.lake, record)
    except PermanentError as error:
        return Verdict(sentences=[str(error)])
    if not has_key_of(manifest, settings):
        raise PermanentError(
            f"FLEET_PSEUDONYM_KEY is not the one that the cycle of {start} was closed with, so every driver would be "
            "another: set that one."
        )
    scratch = use_home(passing_home(settings, "replay", start), settings_of(manifest))
    stores = Installation(scratch).stores()
    try:
        fill_from(manifest, stores, source)
    except PermanentError as error:
        return Verdict(sentences=[str(error), *verify_frozen(manifest, source.warehouse, None)])
    days = days_of(manifest)
    result = run_days(scratch, days[0], days[-1], progress, is_published=False)
    if result.errors:
        failed = [f"The replay failed: {sentence}" for sentence in result.errors]
        return Verdict(sentences=failed + verify_frozen(manifest, source.warehouse, None))
    verdict = compare(manifest, stores.warehouse, source.warehouse)
    verdict.sentences = verify_frozen(manifest, source.warehouse, stores.warehouse) + verdict.sentences
    version = version_sentence(manifest, code_version())
    if version and not verdict.is_identical:
        verdict.sentences.append(version)
    return verdict


def passing_home(settings: Settings, purpose: str, start: dt.date) -> Path:
    """A new folder under the home for one computation of a cycle; the end of the process removes it."""
    (settings.home / purpose).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{start}-", dir=settings.home / purpose))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # registered before its server, so that it runs after it
    return folder


def use_home(home: Path, others: dict[str, str]) -> Settings:
    """Make another home, on the embedded default, the environment's; before the definitions are loaded.

    Args:
        home: the folder; it is made.
        others: further environment variables.
    """
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update({"FLEET_HOME": str(home.resolve()), **_ELSEWHERE, **others})
    return load_settings()
