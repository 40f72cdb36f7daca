"""The inbox: the files of its four sub-folders and their bytes, in a local folder or an S3 prefix.

Listing and reading belong here. Content of files is parsed in `formats`; earlier reads are known in `ingest`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox_bucket import InboxBucket
from fleet_audit.sources.inbox_entry import UnsettledFileError, is_temporary
from fleet_audit.sources.inbox_folder import InboxFolder

FOLDERS = {"reference": "reference", "visit_reports": "visit_report", "bulletins": "bulletin", "telemetry": "telemetry"}
CHUNK_BYTES = 1 << 20
_SAME_NAME = "has the name of another file once bytes that are not UTF-8 are written out; rename it."


@dataclass(frozen=True)
class InboxFile:
    r"""One file, or another entry of a sub-folder that cannot be read.

    Attributes:
        kind: `reference`, `visit_report`, `bulletin` or `telemetry`.
        name: path inside the inbox; bytes of it that are not UTF-8 are written as `\xe7`.
        size: bytes.
        modified_at: the sender's time; the time of arrival may differ.
        stamp: what the listing knows of the content: other bytes have another stamp. A folder's includes when the file
            was put into place, which no program that copies times along can set back.
        path: the name as the storage spells it; the name itself where it is empty.
        problem: why the entry cannot be read, as the end of a sentence that begins with the name.
    """

    kind: str
    name: str
    size: int
    modified_at: dt.datetime
    stamp: str = ""
    path: str = ""
    problem: str = ""


class Inbox:
    """A local folder, `file://` URL or `s3://bucket/prefix` with files dropped by others.

    Args:
        url: where it is (FLEET_INBOX_URL).
        settings: credentials and endpoint of S3.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._ignored: list[str] = []
        self._store: InboxFolder | InboxBucket
        if url.startswith("s3://"):
            self._store = InboxBucket(url, settings)
        else:
            path = unquote(urlsplit(url).path) if url.startswith("file://") else url
            self._store = InboxFolder(Path(path).expanduser().resolve(), frozenset(FOLDERS))

    @property
    def ignored(self) -> list[str]:
        """A sentence for each entry outside the four sub-folders that the last `files()` found."""
        return list(self._ignored)

    def files(self) -> list[InboxFile]:
        """All files of the four sub-folders, recursively, oldest first (then by name), temporary ones excluded.

        Entries that cannot be read (links that leave the inbox, pipes, folders without permission) are among them,
        each with its `problem`; entries outside the sub-folders are in `ignored`.

        Raises:
            PermanentError: the folder or bucket is missing, or the credentials are refused.
            RetryableError: the storage does not answer.
        """
        ignored: dict[str, None] = {}
        found: dict[str, InboxFile] = {}
        for entry in self._store.entries():
            parts = PurePosixPath(entry.name).parts
            if any(is_temporary(part) for part in parts):
                continue
            kind = FOLDERS.get(parts[0])
            if kind is None or (len(parts) == 1 and not entry.problem):
                ignored[f"{parts[0]}: not one of the inbox's sub-folders ({', '.join(FOLDERS)})"] = None
                continue
            name, problem = entry.name, entry.problem
            if name in found:
                name, problem = f"{name} ({entry.stamp})", _SAME_NAME
            found[name] = InboxFile(kind, name, entry.size, entry.modified_at, entry.stamp, entry.path, problem)
        self._ignored = list(ignored)
        return sorted(found.values(), key=lambda file: (file.modified_at, file.name))

    def read(self, file: InboxFile) -> bytes:
        """The bytes of a listed file.

        Raises:
            UnsettledFileError: it is gone, or its size is not the listed one.
            PermanentError: it cannot be read; the sentence has the reason.
            RetryableError: the storage does not answer.
        """
        content = b"".join(self.chunks(file))
        if len(content) != file.size:
            raise UnsettledFileError(f"{file.name} changed while it was read; the next look reads it.")
        return content

    def chunks(self, file: InboxFile) -> Iterator[bytes]:
        """The bytes of a listed file in pieces, for a file that is too large to hold; its size is not compared.

        Raises what `read` raises.
        """
        try:
            if file.problem:
                raise PermanentError(file.problem)
            yield from self._store.chunks(file.path, CHUNK_BYTES)
        except PermanentError as error:
            raise type(error)(f"{file.name} {error}") from error
