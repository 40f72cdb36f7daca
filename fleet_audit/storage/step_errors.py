"""Our two kinds of errors as Dagster acts on them: a retryable one retries the step, a permanent one fails it.

Every body of an asset or check has `@acts_on_errors`, as has what every IO manager does; nothing else translates.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import dagster as dg

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.reasons import REASON_CODE

# Waits about 5, 15, 35 and 75 s: a PostgreSQL that restarts or fails over is back within two minutes.
RETRY_POLICY = dg.RetryPolicy(max_retries=4, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
_Body = TypeVar("_Body", bound=Callable[..., Any])


@contextmanager
def acting_on_errors() -> Iterator[None]:
    """Raise RetryableError as Dagster's RetryRequested with backoff, PermanentError as a Failure without retries.

    The Failure of a refused file has its code as metadata `reason_code`. Only inside a step, whose number of attempts
    it reads.
    """
    try:
        yield
    except RetryableError as error:
        attempt = dg.OpExecutionContext.get().retry_number + 1
        wait_s = max(0.0, RETRY_POLICY.calculate_delay(attempt))
        raise dg.RetryRequested(max_retries=RETRY_POLICY.max_retries, seconds_to_wait=wait_s) from error
    except PermanentError as error:
        metadata = {REASON_CODE: error.code} if isinstance(error, RejectedFile) else None
        raise dg.Failure(str(error), metadata=metadata, allow_retries=False) from error


def acts_on_errors(body: _Body) -> _Body:
    """The body of an asset or check, with its errors as `acting_on_errors` raises them."""

    @functools.wraps(body)
    def generating(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with acting_on_errors():
            yield from body(*args, **kwargs)

    @functools.wraps(body)
    def returning(*args: Any, **kwargs: Any) -> Any:
        with acting_on_errors():
            return body(*args, **kwargs)

    return cast("_Body", generating if inspect.isgeneratorfunction(body) else returning)
