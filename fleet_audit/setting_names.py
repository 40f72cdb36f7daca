"""Names of variables beside those of the settings: a misspelled one is refused, one that nothing reads is named once.

What a setting means, and whether its value is right, is in `settings`.
"""

from __future__ import annotations

import difflib
import logging
import multiprocessing
import re
from collections.abc import Collection, Iterable
from functools import cache

from rapidfuzz.distance import OSA

from fleet_audit.errors import PermanentError

PREFIX = "FLEET_"
# Of the files in deploy/, which give them to the proxy, and of the tests.
BESIDE_SETTINGS = frozenset({"FLEET_HOST", "FLEET_VIEW_HOST", "FLEET_PORTAL_HOST", "FLEET_DBT"})
_OF_KUBERNETES = re.compile(r"_SERVICE_HOST$|_PORT(_\w+)?$")  # each pod gets these of a service named fleet-…
_LONG_NAME = 8  # characters after the prefix; two edits make another word of a shorter one: HOME and NAME


def check_names(variables: Iterable[str], known: Collection[str]) -> None:
    """Names each `FLEET_` variable that nothing reads, once per process, in a line of the log.

    Raises PermanentError for one that is an edit or two from a setting: what it sets would silently have its default.

    Args:
        variables: names of the environment and of `.env`.
        known: the variables of all settings.
    """
    for variable in sorted(set(variables)):
        if not variable.startswith(PREFIX) or variable.upper() in known or _is_beside_settings(variable):
            continue
        for name in known:
            if _is_misspelled(variable, name):
                raise PermanentError(f"{variable} is not a setting: did you mean {name}?")
        close = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
        _warn_ignored(variable, close[0] if close else "")


def _is_beside_settings(variable: str) -> bool:
    return variable in BESIDE_SETTINGS or _OF_KUBERNETES.search(variable) is not None


def _is_misspelled(variable: str, name: str) -> bool:
    """Whether a variable is a setting's name with few edits; one that continues it is somebody's own."""
    most_edits = 2 if len(name.removeprefix(PREFIX)) >= _LONG_NAME else 1
    return not variable.startswith(f"{name}_") and OSA.distance(variable, name, score_cutoff=most_edits) <= most_edits


@cache
def _warn_ignored(variable: str, close: str) -> None:
    if multiprocessing.parent_process() is None:  # processes that compute days repeat nothing
        question = f"; did you mean {close}?" if close else "."
        logging.getLogger(__name__).warning(f"{variable} is not a setting and has no effect{question}")
