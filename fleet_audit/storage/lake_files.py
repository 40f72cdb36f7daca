"""Files under one root, a local folder or an S3 prefix: each is replaced whole, and errors name the file.

What files hold belongs elsewhere: Parquet rows of tables are in `lake`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.s3 import s3_filesystem
from fleet_audit.settings import Settings

_CHUNK_BYTES = 1 << 22
_ABANDONED_S = 3600  # a temporary file that old belongs to a writer that was killed
_LASTING_S3_ERRORS = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_SIGNATURE|"
    r"INVALID_CLIENT_TOKEN_ID|MISSING_AUTHENTICATION_TOKEN)"
)


class LakeFiles:
    """The files of one installation. Paths are relative to its root, with `/` between their parts."""

    def __init__(self, settings: Settings) -> None:
        """Opens the lake that the settings name; reads and writes nothing."""
        self.uri = settings.lake_root.rstrip("/")
        self._filesystem, self._root = _open(self.uri, settings)
        self._swept: set[Path] = set()

    @property
    def root(self) -> str:
        """The absolute folder, or the bucket with its prefix."""
        return self._root

    def put_bytes(self, path: str, content: bytes | pa.Buffer) -> None:
        """Replaces a file as a whole: no reader sees a part of it, and a killed writer leaves the old one."""
        self.put_chunks(path, [content])

    def put_chunks(self, path: str, chunks: Iterable[bytes | pa.Buffer]) -> None:
        """Replaces a file by content that arrives in pieces, because it is too large for the memory."""
        with self._translating_errors("write", path):
            if isinstance(self._filesystem, pafs.LocalFileSystem):
                target = Path(self._full(path))
                _replace_local(target, chunks)
                if target.parent not in self._swept:  # once: a folder of 3,000 files takes 5 ms to look through
                    self._swept.add(target.parent)
                    _remove_abandoned(target.parent)
            else:
                # in a thread: an interrupt between opening and writing would close, and so put, an empty file
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(_put_object, self._filesystem, self._full(path), chunks).result()

    def take_over(self, source: LakeFiles, path: str) -> None:
        """Links or copies a file of another lake to the same path.

        It is linked where both lakes are folders of one disk. Files are replaced and never written into, so neither
        lake sees later changes of the other.
        """
        if isinstance(self._filesystem, pafs.LocalFileSystem) and isinstance(source._filesystem, pafs.LocalFileSystem):
            target = Path(self._full(path))
            _make_private_folder(target.parent)
            with suppress(OSError):
                os.link(source._full(path), target)
        if not self.exists(path):
            self.put_bytes(path, source.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """The content of a file. Raises PermanentError that names a missing file."""
        with self._translating_errors("read", path), self._filesystem.open_input_file(self._full(path)) as file:
            return file.read()

    def find_bytes(self, path: str) -> bytes | None:
        """The content of a file, None without such a file: another run may remove or replace it at any moment."""
        try:
            with (
                self._translating_errors("read", path, missing=FileNotFoundError),
                self._filesystem.open_input_file(self._full(path)) as file,
            ):
                return file.read()
        except FileNotFoundError:
            return None

    def get_chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file in pieces of 4 MB, because it may be too large for the memory."""
        with self._translating_errors("read", path), self._filesystem.open_input_file(self._full(path)) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def sha256(self, path: str) -> str | None:
        """SHA-256 of a file's bytes, None without such a file."""
        return sha256_of(self.get_chunks(path)) if self.exists(path) else None

    def exists(self, path: str) -> bool:
        """Whether a file has this path."""
        with self._translating_errors("look for", path):
            return self._filesystem.get_file_info(self._full(path)).type == pafs.FileType.File

    def list(self, prefix: str = "") -> list[str]:
        """Paths of all files in a folder and below, sorted, without hidden files such as unfinished ones."""
        return sorted(self.modified(prefix))

    def modified(self, prefix: str = "") -> dict[str, dt.datetime]:
        """Paths of all files in a folder and below, each with the time at which it was written."""
        return {path: info.mtime.astimezone(dt.UTC) for path, info in self._files(prefix)}

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Paths of all files in a folder and below, each with its size in bytes."""
        return {path: info.size for path, info in self._files(prefix)}

    def sizes_of(self, paths: Sequence[str]) -> dict[str, int | None]:
        """The size of each file, None where it does not exist: one request per file, at the same time."""
        with self._translating_errors("find", paths[0] if paths else ""):
            found = self._filesystem.get_file_info([self._full(path) for path in paths])
        return {path: info.size for path, info in zip(paths, found, strict=True)}

    def _files(self, prefix: str) -> Iterator[tuple[str, pafs.FileInfo]]:
        selector = pafs.FileSelector(self._full(prefix), allow_not_found=True, recursive=True)
        with self._translating_errors("list", prefix):
            found = self._filesystem.get_file_info(selector)
        start = len(self._root) + 1
        for info in found:
            path = info.path[start:]
            if info.type == pafs.FileType.File and not any(part.startswith(".") for part in path.split("/")):
                yield path, info

    def delete(self, path: str) -> None:
        """Removes a file; a missing one is not an error."""
        with self._translating_errors("remove", path):
            if self.exists(path):
                with suppress(FileNotFoundError):  # another run removed it meanwhile
                    self._filesystem.delete_file(self._full(path))

    def url(self, path: str) -> str:
        """The full address of a file, for people and other programs."""
        return f"{self.uri}/{path}"

    def _full(self, path: str) -> str:
        if ".." in path.split("/") or path.startswith("/"):
            raise PermanentError(f"{path!r} is not a path inside the lake: give one relative to its root.")
        return f"{self._root}/{path}".rstrip("/")

    @contextmanager
    def _translating_errors(self, doing: str, path: str, missing: type[Exception] = PermanentError) -> Iterator[None]:
        """Raises the file system's errors as one of our two kinds, in one sentence that names the file."""
        try:
            yield
        except FileNotFoundError as error:
            raise missing(f"{self.url(path)} does not exist.") from error
        except pa.ArrowInvalid as error:
            raise PermanentError(f"{self.url(path)} cannot be read as Parquet of this table: {error}") from error
        except OSError as error:
            reason = " ".join(str(error).split())
            if isinstance(error, PermissionError) or _LASTING_S3_ERRORS.search(reason):
                raise PermanentError(
                    f"Cannot {doing} {self.url(path)}: {reason}. Check FLEET_LAKE_URL, the AWS_* "
                    "settings and the permissions."
                ) from error
            raise RetryableError(f"Cannot {doing} {self.url(path)}: {reason}") from error


def sha256_of(chunks: Iterable[bytes]) -> str:
    """SHA-256 of content in pieces."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _open(uri: str, settings: Settings) -> tuple[pafs.FileSystem, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3":
        folder = Path(parts.path if parts.scheme == "file" else uri).expanduser().resolve()
        return pafs.LocalFileSystem(), str(folder)
    return s3_filesystem(settings), f"{parts.netloc}{parts.path}".rstrip("/")


def _put_object(filesystem: pafs.FileSystem, path: str, chunks: Iterable[bytes | pa.Buffer]) -> None:
    """Writes one S3 object with exactly these bytes.

    Without `compression=None` Arrow compresses again what a name ending in .zst or .gz holds already.
    """
    stream = filesystem.open_output_stream(path, compression=None)
    for chunk in chunks:
        stream.write(chunk)
    stream.close()


def _replace_local(path: Path, chunks: Iterable[bytes | pa.Buffer]) -> None:
    _make_private_folder(path.parent)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    with open(temporary, "wb", opener=_open_private) as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _remove_abandoned(folder: Path) -> None:
    """Removes the unfinished files of writers that were killed."""
    for leftover in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # of another thread that has just moved it into place
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()


def _open_private(path: str, flags: int) -> int:
    """A file that only its owner reads: positions and declarations are personal data."""
    return os.open(path, flags, 0o600)


def _make_private_folder(folder: Path) -> None:
    """Makes a folder and its missing parents for the owner alone; those that exist keep their rights."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
