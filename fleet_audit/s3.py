"""The one way to S3: Arrow's file system with the `AWS_*` settings, time-outs and retries, for lake, inbox and backups.

What is read and written belongs to `lake_files` and `sources.inbox_bucket`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pyarrow.fs as pafs

from fleet_audit.settings import Settings

_CONNECT_TIMEOUT_S = 5
_REQUEST_TIMEOUT_S = 30  # of a silence, not of a whole transfer
# of one request, some seconds in all; a server that is away longer is for the retries of the step
_ATTEMPTS = 4


def s3_filesystem(settings: Settings) -> pafs.S3FileSystem:
    """An S3 file system of the settings; without keys the default credential chain applies."""
    endpoint = urlsplit(settings.aws_endpoint_url or "")
    key, secret, session = settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token
    given = {
        "access_key": key.get_secret_value() if key else None,
        "secret_key": secret.get_secret_value() if secret else None,
        "session_token": session.get_secret_value() if session else None,
        # without an endpoint Arrow finds the region of the bucket by itself
        "region": settings.aws_region or ("us-east-1" if endpoint.netloc else None),
        "endpoint_override": endpoint.netloc or None,
        "scheme": endpoint.scheme or None,
    }
    return pafs.S3FileSystem(
        **{name: value for name, value in given.items() if value},
        connect_timeout=_CONNECT_TIMEOUT_S,
        request_timeout=_REQUEST_TIMEOUT_S,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
