"""An inbox that is a local folder: its entries, and the bytes of its regular files.

Nothing that leads out of the folder is followed, and nothing but a regular file is opened. Which entries are of
interest, and what happens to those that cannot be read, is decided in `inbox` and `ingest`.
"""

from __future__ import annotations

import datetime as dt
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fleet_audit.errors import PermanentError
from fleet_audit.sources.inbox_entry import EARLIEST, LATEST, Entry, UnsettledFileError, is_temporary

_NO_FOLDER_LINKS = "is a link to a folder, and such links are not followed; put the files themselves here."
_LINK_OUT = "is a link that leaves the inbox, and it is not followed; put the file itself here."
_NO_TARGET = "is a link to a file that does not exist; put the file itself here."
_NOT_REGULAR = "is a pipe, socket or device and not a file; remove it."


class InboxFolder:
    """The folder, given as a path that exists.

    Args:
        folder: its path.
        subfolders: names of the folders in it that are listed; the content of any other is not looked at.
    """

    def __init__(self, folder: Path, subfolders: frozenset[str]) -> None:
        self._folder = folder
        self._subfolders = subfolders

    def entries(self) -> Iterator[Entry]:
        """Every file below the sub-folders, and each entry that cannot be read, with its problem.

        Raises PermanentError when the folder does not exist or cannot be listed.
        """
        if not self._folder.is_dir():
            raise PermanentError(f"Inbox folder {self._folder} does not exist; create it or correct FLEET_INBOX_URL.")
        waiting = [str(self._folder)]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    children = sorted(found, key=lambda child: child.name)
            except FileNotFoundError:
                continue  # removed since its name was read
            except OSError as error:
                if folder == str(self._folder):
                    raise PermanentError(
                        f"The inbox folder {folder} cannot be listed ({_reason(error)}); correct its permissions."
                    ) from error
                yield self._entry(folder, problem=f"is a folder that cannot be listed ({_reason(error)}).")
                continue
            for child in children:
                if is_temporary(child.name):
                    continue
                if not _is_folder(child):
                    yield from self._file(child.path)
                elif folder != str(self._folder) or child.name in self._subfolders:
                    waiting.append(child.path)
                else:
                    yield self._entry(child.path)

    def chunks(self, path: str, size: int) -> Iterator[bytes]:
        """The bytes of a listed file, `size` at a time.

        Raises:
            UnsettledFileError: the file is no longer there.
            PermanentError: it is not a regular file any more, its path leaves the folder, or it cannot be read.
        """
        try:
            with self._open(path) as file:
                while chunk := file.read(size):
                    yield chunk
        except FileNotFoundError:
            raise UnsettledFileError("is no longer in the inbox; drop it again.") from None
        except OSError as error:
            raise PermanentError(f"cannot be read ({_reason(error)}); correct that and drop it again.") from error

    def _open(self, path: str) -> BinaryIO:
        target = _resolved(Path(path))
        if target is None or not self._is_inside(target):
            raise PermanentError(_LINK_OUT)
        # without waiting: a pipe that replaced the file since it was listed would never answer
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PermanentError(_NOT_REGULAR)
        return os.fdopen(descriptor, "rb")

    def _is_inside(self, target: Path | None) -> bool:
        return target is not None and target.is_relative_to(self._folder)

    def _file(self, path: str) -> Iterator[Entry]:
        is_link = os.path.islink(path)
        if is_link and not self._is_inside(_resolved(Path(path))):
            yield self._entry(path, problem=_LINK_OUT)
            return
        try:
            status = os.stat(path)
        except FileNotFoundError:  # renamed since the folder was read, as a temporary name is: the next look sees it
            if is_link:
                yield self._entry(path, problem=_NO_TARGET)
        except OSError as error:
            yield self._entry(path, problem=f"cannot be looked at ({_reason(error)}).")
        else:
            yield self._entry(path, status, _problem(status.st_mode))

    def _entry(self, path: str, status: os.stat_result | None = None, problem: str = "") -> Entry:
        if status is None:
            try:
                status = os.lstat(path)
            except OSError:
                status = os.stat_result((0,) * 10)
        name = _printable(os.path.relpath(path, self._folder))
        stamp = f"{status.st_size}@{status.st_mtime_ns}@{status.st_ctime_ns}"
        return Entry(name, path, status.st_size, _instant(status.st_mtime), stamp, problem)


def _is_folder(child: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder itself; False for a link to one, and for what cannot be looked at."""
    try:
        return child.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _problem(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return _NO_FOLDER_LINKS
    return "" if stat.S_ISREG(mode) else _NOT_REGULAR


def _resolved(path: Path) -> Path | None:
    """Where a path leads to; None for a link that leads in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return None


def _printable(name: str) -> str:
    r"""A file name as text that databases store: bytes of it that are not UTF-8 are written as `\xe7`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _instant(seconds: float) -> dt.datetime:
    """A file's time; the nearest that Python knows for one before the year 1 or after 9999."""
    try:
        return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return EARLIEST if seconds < 0 else LATEST


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
