"""The inbox as a folder and on a real S3 server."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import stat
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
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


def _problems(files: list[InboxFile]) -> dict[str, str]:
    return {file.name: file.problem for file in files if file.problem}


def test_links_that_leave_the_inbox_are_refused(folder: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(b"secret")
    bulletins = folder / "bulletins"
    (bulletins / "out.csv").symlink_to(tmp_path / "secret.csv")
    (bulletins / "outside").symlink_to(tmp_path)
    (bulletins / "memory.csv").symlink_to("/proc/self/mem")
    (bulletins / "inside.csv").symlink_to(bulletins / "b.csv")
    inbox = Inbox(str(folder), settings)
    files = inbox.files()
    assert [file.name for file in files if file.kind == "bulletin" and not file.problem] == [
        "bulletins/b.csv", "bulletins/inside.csv"]  # fmt: skip
    assert _problems(files).keys() == {"bulletins/out.csv", "bulletins/outside", "bulletins/memory.csv"}
    assert all("leaves the inbox" in problem for problem in _problems(files).values())


def test_what_is_no_file_is_listed_with_its_problem_beside_the_others(folder: Path, settings: Settings) -> None:
    bulletins = folder / "bulletins"
    os.mkfifo(bulletins / "pipe.csv")
    os.mknod(bulletins / "device.csv", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.chdir(bulletins):
        listener.bind("socket.csv")
    (bulletins / "circle.csv").symlink_to(bulletins / "circle.csv")
    (bulletins / "lost.csv").symlink_to(bulletins / "nowhere.csv")
    (bulletins / "folder.csv").symlink_to(folder / "reference")
    (bulletins / "folder_named.csv").mkdir()
    inbox = Inbox(str(folder), settings)
    files = inbox.files()
    problems = _problems(files)
    assert {name.removeprefix("bulletins/"): problem.split(",")[0] for name, problem in problems.items()} == {
        "pipe.csv": "is a pipe",
        "device.csv": "is a pipe",
        "socket.csv": "is a pipe",
        "circle.csv": "is a link that leaves the inbox",
        "lost.csv": "is a link to a file that does not exist; put the file itself here.",
        "folder.csv": "is a link to a folder",
    }
    assert len(files) == 4 + len(problems)
    with pytest.raises(PermanentError, match=r"bulletins/pipe\.csv is a pipe, socket or device"):
        inbox.read(next(file for file in files if file.name == "bulletins/pipe.csv"))
    listener.close()


def test_a_pipe_put_in_place_after_the_listing_is_not_waited_for(folder: Path, settings: Settings) -> None:
    inbox = Inbox(str(folder), settings)
    listed = inbox.files()[0]
    (folder / listed.name).unlink()
    os.mkfifo(folder / listed.name)
    with pytest.raises(PermanentError, match="is a pipe"):
        inbox.read(listed)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user for a moment")
def test_files_and_folders_without_permission_stop_no_other(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        for name in ("bulletins/closed/a.csv", "bulletins/secret.csv", "bulletins/open.csv"):
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        (Path(root) / "bulletins/closed").chmod(0o700)
        (Path(root) / "bulletins/secret.csv").chmod(0o600)
        inbox = Inbox(root, settings)
        os.seteuid(65_534)
        try:
            files = {file.name: file for file in inbox.files()}
            assert set(files) == {"bulletins/closed", "bulletins/secret.csv", "bulletins/open.csv"}
            assert files["bulletins/closed"].problem == "is a folder that cannot be listed (Permission denied)."
            assert inbox.read(files["bulletins/open.csv"]) == b"x"
            with pytest.raises(PermanentError, match=r"secret\.csv cannot be read \(Permission denied\)"):
                inbox.read(files["bulletins/secret.csv"])
        finally:
            os.seteuid(0)


SPECIAL_NAMES = [
    "a+b %20 100%.csv", "what?#&=;.csv", "50%2F50.csv", "[DVR]'s \\ \u2013.csv", "date=2025-06-10/x.csv",
    "ação.csv", "ac\u0327a\u0303o.csv", "a/same.csv", "b/same.csv", "line\nbreak.csv",
]  # fmt: skip


def test_any_name_is_listed_as_it_is_and_read(folder: Path, settings: Settings) -> None:
    for name in SPECIAL_NAMES:
        path = folder / "telemetry" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    inbox = Inbox(str(folder), settings)
    read = {file.name: inbox.read(file) for file in inbox.files()}
    assert {name: read[f"telemetry/{name}"] for name in SPECIAL_NAMES} == {
        name: name.encode() for name in SPECIAL_NAMES
    }


def test_a_name_that_is_not_utf8_is_written_out_and_read(folder: Path, settings: Settings) -> None:
    for name in (b"relat\xf3rio.csv", b"relat\\xf3rio.csv"):
        (folder / "bulletins" / os.fsdecode(name)).write_bytes(name)
    inbox = Inbox(str(folder), settings)
    files = [file for file in inbox.files() if "relat" in file.name]
    readable = next(file for file in files if not file.problem)
    assert readable.name == "bulletins/relat\\xf3rio.csv"
    assert b"rio.csv" in inbox.read(readable)
    assert ["rename it" in file.problem for file in files if file.problem] == [True]


@pytest.mark.parametrize("instant", [-62_135_596_801 - 86_400 * 400, 946_684_800, 253_402_300_800, 9_214_646_400])
def test_a_file_may_be_of_any_time(folder: Path, settings: Settings, instant: int) -> None:
    """Before the year 1, of 2000, after 9999, of 2262."""
    os.utime(folder / "bulletins" / "b.csv", (instant, instant))
    inbox = Inbox(str(folder), settings)
    assert len(inbox.files()) == 4
    assert [inbox.read(file) for file in inbox.files() if file.kind == "bulletin"] == [b"bulletins/b.csv"]


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


def test_an_s3_key_may_have_any_name_and_prefix(seaweed: S3Server, settings: Settings) -> None:
    prefix = f"{seaweed.bucket}/{uuid.uuid4().hex}/caixa de entrada?/2025+06#1 100%"
    names = [
        name for name in SPECIAL_NAMES if not {"\n", "\\"} & set(name)
    ]  # this server stores a backslash as a slash
    for name in names:
        with seaweed.filesystem().open_output_stream(f"{prefix}/telemetry/{name}") as stream:
            stream.write(name.encode())
    inbox = Inbox(f"s3://{prefix}", settings.model_copy(update=_keys(seaweed)))
    assert {file.name: inbox.read(file) for file in inbox.files()} == {
        f"telemetry/{name}": name.encode() for name in names
    }


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
