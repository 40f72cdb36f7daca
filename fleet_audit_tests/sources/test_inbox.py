"""The inbox as a folder and on a real S3 server."""

from __future__ import annotations

import gzip
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox
from fleet_audit_tests.conftest import S3Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    for number, name in enumerate(
        ("telemetry/deep/er/p.csv", "reference/units.csv", "visit_reports/r.xlsx", "bulletins/b.csv")
    ):
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
        os.utime(path, (1_750_000_000 - number, 1_750_000_000 - number))
    return root


def test_files_come_oldest_first_with_their_kind(folder: Path, settings: Settings) -> None:
    inbox = Inbox(str(folder), settings)
    files = inbox.files()
    assert [(file.kind, file.name) for file in files] == [
        ("bulletin", "bulletins/b.csv"),
        ("visit_report", "visit_reports/r.xlsx"),
        ("reference", "reference/units.csv"),
        ("telemetry", "telemetry/deep/er/p.csv"),
    ]
    assert [inbox.read(file) for file in files] == [file.name.encode() for file in files]
    assert [file.size for file in files] == [len(file.name) for file in files]
    assert inbox.ignored == []


def test_same_instant_is_ordered_by_name(folder: Path, settings: Settings) -> None:
    for name in ("b", "a", "c"):
        path = folder / "bulletins" / f"{name}.csv"
        path.write_bytes(b"x")
        os.utime(path, (1_760_000_000, 1_760_000_000))
    assert [file.name[-5:] for file in Inbox(str(folder), settings).files()[-3:]] == ["a.csv", "b.csv", "c.csv"]


def test_a_file_url_is_the_same_folder(folder: Path, settings: Settings) -> None:
    assert Inbox(folder.as_uri(), settings).files() == Inbox(str(folder), settings).files()


@pytest.mark.parametrize("name", [".b.csv", "~$b.xlsx", ".~lock.b.csv#", "b.csv.part", "b.csv.TMP", ".git/b.csv"])
def test_hidden_and_temporary_names_are_skipped(folder: Path, settings: Settings, name: str) -> None:
    path = folder / "bulletins" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half")
    inbox = Inbox(str(folder), settings)
    assert len(inbox.files()) == 4
    assert inbox.ignored == []


def test_unknown_folders_and_stray_files_are_reported(folder: Path, settings: Settings) -> None:
    (folder / "misc").mkdir()
    (folder / "misc" / "x.csv").write_bytes(b"x")
    (folder / "stray.csv").write_bytes(b"x")
    inbox = Inbox(str(folder), settings)
    assert len(inbox.files()) == 4
    assert [sentence.split(":")[0] for sentence in inbox.ignored] == ["misc", "stray.csv"]


def test_links_that_leave_the_inbox_are_refused(folder: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (folder / "bulletins" / "out.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "bulletins" / "outside").symlink_to(tmp_path)
    (folder / "bulletins" / "inside.csv").symlink_to(folder / "bulletins" / "b.csv")
    inbox = Inbox(str(folder), settings)
    assert [file.name for file in inbox.files() if file.kind == "bulletin"] == [
        "bulletins/b.csv", "bulletins/inside.csv"]  # fmt: skip
    assert sorted(sentence.split(":")[0] for sentence in inbox.ignored) == ["bulletins/out.csv", "bulletins/outside"]


def test_a_link_put_in_place_after_the_listing_is_not_read(folder: Path, settings: Settings, tmp_path: Path) -> None:
    inbox = Inbox(str(folder), settings)
    listed = inbox.files()[0]
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (folder / listed.name).unlink()
    (folder / listed.name).symlink_to(tmp_path / "secret.csv")
    with pytest.raises(PermanentError, match="leaves the inbox"):
        inbox.read(listed)


def test_a_missing_folder_names_the_setting(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(PermanentError, match="FLEET_INBOX_URL"):
        Inbox(str(tmp_path / "nowhere"), settings).files()


def test_a_file_that_went_away_is_named(folder: Path, settings: Settings) -> None:
    inbox = Inbox(str(folder), settings)
    listed = inbox.files()[0]
    (folder / listed.name).unlink()
    with pytest.raises(PermanentError, match=r"bulletins/b\.csv"):
        inbox.read(listed)


def test_an_s3_prefix_is_an_inbox_too(seaweed: S3Server, settings: Settings) -> None:
    prefix = f"{seaweed.bucket}/{uuid.uuid4().hex}/drop"
    for name in ("bulletins/2025/b.csv", "reference/units.csv", "other/x.csv", "bulletins/.hidden"):
        with seaweed.filesystem().open_output_stream(f"{prefix}/{name}") as stream:
            stream.write(name.encode())
    inbox = Inbox(f"s3://{prefix}", settings.model_copy(update=_keys(seaweed)))
    files = inbox.files()
    assert {(file.kind, file.name) for file in files} == {
        ("bulletin", "bulletins/2025/b.csv"), ("reference", "reference/units.csv")}  # fmt: skip
    assert [inbox.read(file) for file in files] == [file.name.encode() for file in files]
    assert all(file.modified_at.tzinfo for file in files)
    assert [sentence.split(":")[0] for sentence in inbox.ignored] == ["other"]


def test_a_compressed_file_of_an_s3_inbox_is_read_as_it_lies_there(seaweed: S3Server, settings: Settings) -> None:
    """Arrow unpacked it by its name: its length was not the one that was listed, and it was never read."""
    prefix, packed = f"{seaweed.bucket}/{uuid.uuid4().hex}", gzip.compress(b"deviceId,timestamp\n1,2\n")
    with seaweed.filesystem().open_output_stream(f"{prefix}/telemetry/a.csv.gz", compression=None) as stream:
        stream.write(packed)
    inbox = Inbox(f"s3://{prefix}", settings.model_copy(update=_keys(seaweed)))
    assert [inbox.read(file) for file in inbox.files()] == [packed]


def test_an_s3_listing_has_more_than_one_page(seaweed: S3Server, settings: Settings) -> None:
    """S3 lists at most 1,000 objects a page."""
    prefix = f"{seaweed.bucket}/{uuid.uuid4().hex}"
    names = [f"telemetry/{number // 100:02d}/{number:04d}.csv" for number in range(1_050)]
    filesystem = seaweed.filesystem()

    def put(name: str) -> None:
        with filesystem.open_output_stream(f"{prefix}/{name}") as stream:
            stream.write(b"x")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, names))
    files = Inbox(f"s3://{prefix}", settings.model_copy(update=_keys(seaweed))).files()
    assert sorted(file.name for file in files) == names


def test_other_bytes_of_the_same_size_have_another_stamp(folder: Path, settings: Settings) -> None:
    inbox = Inbox(str(folder), settings)
    before = {file.name: file.stamp for file in inbox.files()}
    path = folder / "bulletins" / "b.csv"
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = {file.name: file.stamp for file in inbox.files()}
    assert {name for name in before if before[name] != after[name]} == {"bulletins/b.csv"}


def test_s3_trouble_is_sorted_into_permanent_and_retryable(seaweed: S3Server, settings: Settings) -> None:
    right = settings.model_copy(update=_keys(seaweed))
    with pytest.raises(PermanentError, match="FLEET_INBOX_URL"):
        Inbox("s3://no-such-bucket/x", right).files()
    wrong_key = Settings(_env_file=None, **{**seaweed.variables(), "AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(PermanentError, match="AWS_SECRET_ACCESS_KEY"):
        Inbox(f"s3://{seaweed.bucket}/x", wrong_key).files()
    nobody = Settings(_env_file=None, **{**seaweed.variables(), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with pytest.raises(RetryableError, match="AWS_ENDPOINT_URL"):
        Inbox(f"s3://{seaweed.bucket}/x", nobody).files()
    assert Inbox(f"s3://{seaweed.bucket}/empty", right).files() == []


def _keys(server: S3Server) -> dict[str, object]:
    given = Settings(_env_file=None, **server.variables())
    return {name: getattr(given, name) for name in ("aws_endpoint_url", "aws_access_key_id", "aws_secret_access_key")}
