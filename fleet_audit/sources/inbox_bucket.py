"""An inbox that is a prefix of an S3 bucket: its objects and their bytes.

Which objects are of interest, and what happens to those that cannot be read, is decided in `inbox` and `ingest`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow.fs as pafs

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.s3 import s3_filesystem
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox_entry import EARLIEST, Entry, UnsettledFileError

_REFUSED = ("INVALID_ACCESS_KEY", "INVALID_CLIENT_TOKEN", "SIGNATURE", "NO_SUCH_BUCKET")
_DENIED = "ACCESS_DENIED"


class InboxBucket:
    """The objects below a prefix.

    Args:
        url: `s3://bucket/prefix`; a prefix may hold any character, `?`, `#` and `%` too.
        settings: credentials and endpoint.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._root = f"{self._bucket}/{prefix.strip('/')}".rstrip("/")
        self._filesystem = s3_filesystem(settings)

    def entries(self) -> Iterator[Entry]:
        """Every object below the prefix.

        Raises:
            PermanentError: the bucket does not exist, or the credentials are refused.
            RetryableError: the server does not answer.
        """
        try:
            if self._filesystem.get_file_info(self._bucket).type == pafs.FileType.NotFound:
                raise PermanentError(f"Bucket {self._bucket} does not exist; create it or correct FLEET_INBOX_URL.")
            infos = self._filesystem.get_file_info(pafs.FileSelector(self._root, recursive=True, allow_not_found=True))
        except OSError as error:
            if _DENIED in str(error):
                raise self._refusal() from error
            raise self._error(error) from error
        for info in infos:
            if info.type == pafs.FileType.File:
                name = info.path[len(self._root) + 1 :]
                modified_at = info.mtime.astimezone(dt.UTC) if info.mtime else EARLIEST
                yield Entry(name, info.path, info.size, modified_at, f"{info.size}@{info.mtime_ns}")

    def chunks(self, path: str, size: int) -> Iterator[bytes]:
        """The bytes of a listed object, `size` at a time.

        Raises:
            UnsettledFileError: the object is no longer there.
            PermanentError: the object is refused, or its name cannot be requested.
            RetryableError: the server does not answer.
        """
        try:
            # no guess from its name: an object called .csv.gz is given as it is stored
            with self._filesystem.open_input_stream(path, compression=None) as stream:
                while chunk := stream.read(size):
                    yield chunk
        except FileNotFoundError:
            raise UnsettledFileError("is no longer in the inbox; drop it again.") from None
        except OSError as error:
            if _DENIED in str(error):
                raise PermanentError("cannot be read (access denied); correct its permissions.") from error
            raise self._error(error) from error
        except ValueError as error:  # Arrow's: a path with an empty part
            raise PermanentError(f"has a name that cannot be requested ({error}); rename it.") from error

    def _error(self, error: OSError) -> PermanentError | RetryableError:
        if any(code in str(error) for code in _REFUSED):
            return self._refusal()
        return RetryableError(f"The inbox {self._url} does not answer; try again later or correct AWS_ENDPOINT_URL.")

    def _refusal(self) -> PermanentError:
        return PermanentError(
            f"The inbox {self._url} is refused; correct FLEET_INBOX_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY."
        )
