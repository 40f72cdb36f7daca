"""Refusals of the database's functions as problems: SQLSTATE FAnnn is the status nnn, its message the sentence.

Errors that no function meant are handled in `problems`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from fleet_audit.access.problems import Problem, state_of

_STATE = "FA"


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the refusal of a function into its Problem; other errors pass."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        state = state_of(error)
        if not state.startswith(_STATE):
            raise
        diag = error.orig.diag  # type: ignore[union-attr]
        raise Problem(int(state[2:]), diag.message_primary, kind=diag.message_detail) from None
