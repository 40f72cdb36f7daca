"""The inbox: which files lie in its four sub-folders, and their bytes, whether it is a local folder or an S3 prefix.

Listing and reading belong here. What a file says is in `formats`; whether it was read before is the sensor's business.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.settings import Settings

FOLDERS = {
    "reference": "reference",
    "visit_reports": "visit_report",
    "bulletins": "bulletin",
    "telemetry": "telemetry",
}
TEMPORARY_PREFIXES = (".", "~$")
TEMPORARY_SUFFIXES = (".part", ".tmp", ".crdownload", "~")
SETTLED_AFTER = dt.timedelta(seconds=5)
CHUNK_BYTES = 1 << 20
PERMANENT_S3_ERRORS = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "INVALID_CLIENT_TOKEN", "SIGNATURE", "NO_SUCH_BUCKET")

_Entry: TypeAlias = tuple[str, int, dt.datetime, str]


@dataclass(frozen=True)
class InboxFile:
    """One file: its kind (`reference`, `visit_report`, `bulletin`, `telemetry`) and its path inside the inbox.

    `stamp` is what the listing knows of its content: while it stays, a settled file is the same. A folder also tells
    when the file was last put into place, which no program that copies times along can set back.
    """

    kind: str
    name: str
    size: int
    modified_at: dt.datetime
    stamp: str = ""

    def is_settled(self, now: dt.datetime) -> bool:
        """Whether nothing was written for a while: one that changed just now may not be whole yet."""
        return self.modified_at <= now - SETTLED_AFTER


class Inbox:
    """A local folder, `file://` URL or `s3://bucket/prefix` with files dropped by others.

    Args:
        url: where it is (FLEET_INBOX_URL).
        settings: credentials and endpoint of S3.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        self._url = url
        self._ignored: list[str] = []
        self._s3: pafs.S3FileSystem | None = None
        if parts.scheme == "s3":
            self._s3 = s3_filesystem(settings)
            self._bucket = parts.netloc
            self._root = f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/")
        else:
            self._folder = Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser().resolve()

    @property
    def ignored(self) -> list[str]:
        """A sentence for each thing that the last `files()` left out and that is no temporary file."""
        return list(self._ignored)

    def files(self) -> list[InboxFile]:
        """All files of the four sub-folders, recursively, oldest first (then by name).

        Hidden and temporary names are skipped; unknown sub-folders and links that leave the inbox are reported in
        `ignored`.

        Raises:
            PermanentError: the folder or bucket is missing, or the credentials are refused.
            RetryableError: the storage does not answer.
        """
        self._ignored = []
        entries = self._list_local() if self._s3 is None else self._list_s3()
        found = []
        for name, size, modified_at, stamp in entries:
            path = PurePosixPath(name)
            if any(_is_temporary(part) for part in path.parts):
                continue
            kind = FOLDERS.get(path.parts[0]) if len(path.parts) > 1 else None
            if kind is None:
                self._ignore(f"{path.parts[0]}: not one of the inbox's sub-folders ({', '.join(FOLDERS)})")
                continue
            found.append(InboxFile(kind, name, size, modified_at, stamp))
        return sorted(found, key=lambda file: (file.modified_at, file.name))

    def read(self, file: InboxFile) -> bytes:
        """The bytes of a listed file.

        Raises:
            PermanentError: it is gone, is still growing, or its path leaves the inbox.
            RetryableError: the storage does not answer.
        """
        content = b"".join(self.chunks(file))
        if len(content) != file.size:
            raise PermanentError(f"{file.name} changed while it was read; the next look reads it.")
        return content

    def chunks(self, file: InboxFile) -> Iterator[bytes]:
        """The same piece by piece, for a file that is too large to be held; its size is not compared."""
        try:
            with self._open(file) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError:
            raise PermanentError(f"{file.name} is no longer in the inbox {self._url}; drop it again.") from None
        except OSError as error:
            if self._s3 is None:
                raise RetryableError(f"{file.name} in {self._url} cannot be read ({error.strerror}).") from error
            raise self._s3_error(error) from error

    def _open(self, file: InboxFile) -> BinaryIO | pa.NativeFile:
        if self._s3 is not None:
            # without compression=None Arrow unpacks a .csv.gz, and its size is not the one that was listed
            return self._s3.open_input_stream(f"{self._root}/{file.name}", compression=None)
        path = (self._folder / file.name).resolve()
        if not path.is_relative_to(self._folder):
            raise PermanentError(f"{file.name} leaves the inbox {self._url}; it is not read.")
        return path.open("rb")

    def _ignore(self, sentence: str) -> None:
        if sentence not in self._ignored:
            self._ignored.append(sentence)

    def _list_local(self) -> list[_Entry]:
        if not self._folder.is_dir():
            raise PermanentError(f"There is no inbox folder {self._folder}; create it or correct FLEET_INBOX_URL.")
        entries: list[_Entry] = []
        # Links to folders are not followed (loops, and they may lead anywhere); links to files only inside the inbox.
        for folder, subfolders, names in os.walk(self._folder):
            here = Path(folder)
            for name in subfolders:
                if (here / name).is_symlink():
                    self._ignore(f"{(here / name).relative_to(self._folder).as_posix()}: a link to a folder")
                elif here == self._folder and name not in FOLDERS and not _is_temporary(name):
                    self._ignore(f"{name}: not one of the inbox's sub-folders ({', '.join(FOLDERS)})")
            if here == self._folder:
                subfolders[:] = [name for name in subfolders if name in FOLDERS]
            entries += [entry for name in names if (entry := self._entry(here / name)) is not None]
        return entries

    def _entry(self, path: Path) -> _Entry | None:
        name = path.relative_to(self._folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(self._folder):
            self._ignore(f"{name}: a link that leaves the inbox")
            return None
        try:
            status = path.stat()
        except FileNotFoundError:  # renamed since the folder was read, as a temporary name is: the next look sees it
            return None
        stamp = f"{status.st_size}@{status.st_mtime_ns}@{status.st_ctime_ns}"
        return name, status.st_size, dt.datetime.fromtimestamp(status.st_mtime, tz=dt.UTC), stamp

    def _list_s3(self) -> list[_Entry]:
        assert self._s3 is not None
        try:
            if self._s3.get_file_info(self._bucket).type == pafs.FileType.NotFound:
                raise PermanentError(f"There is no bucket {self._bucket}; create it or correct FLEET_INBOX_URL.")
            infos = self._s3.get_file_info(pafs.FileSelector(self._root, recursive=True, allow_not_found=True))
        except OSError as error:
            raise self._s3_error(error) from error
        return [
            (info.path[len(self._root) + 1 :], info.size, info.mtime.astimezone(dt.UTC), f"{info.size}@{info.mtime_ns}")
            for info in infos
            if info.type == pafs.FileType.File
        ]

    def _s3_error(self, error: OSError) -> PermanentError | RetryableError:
        if any(code in str(error) for code in PERMANENT_S3_ERRORS):
            return PermanentError(
                f"The inbox {self._url} is refused; correct FLEET_INBOX_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY."
            )
        return RetryableError(f"The inbox {self._url} does not answer; try again later or correct AWS_ENDPOINT_URL.")


def s3_filesystem(settings: Settings) -> pafs.S3FileSystem:
    """An Arrow S3 file system with the `AWS_*` settings; without keys the default credential chain applies."""
    endpoint = urlsplit(settings.aws_endpoint_url or "")
    key, secret, session = settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token
    return pafs.S3FileSystem(
        access_key=key.get_secret_value() if key else None,
        secret_key=secret.get_secret_value() if secret else None,
        session_token=session.get_secret_value() if session else None,
        region=settings.aws_region or "us-east-1",
        endpoint_override=endpoint.netloc or None,
        scheme=endpoint.scheme or "https",
        connect_timeout=5,
        request_timeout=30,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=3),
    )


def _is_temporary(name: str) -> bool:
    return name.startswith(TEMPORARY_PREFIXES) or name.lower().endswith(TEMPORARY_SUFFIXES)
