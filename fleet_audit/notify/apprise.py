"""Short messages to people over Apprise. Its URLs hold passwords and tokens: none is ever logged or part of an error.

Texts are in `notify.messages`, occasions in `defs.notices`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_BEFORE_A_URL = re.compile(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")  # a URL may hold commas of its own
_TALKATIVE = ("apprise", "urllib3")  # they log hosts, paths and, of a URL that they cannot read, all of it


def urls_of(text: str) -> list[str]:
    """The URLs of the setting, in order."""
    return [url for url in _BEFORE_A_URL.split(text.strip(", \t\r\n")) if url]


@cache  # settings are loaded some hundred times a run
def unreadable(text: str) -> str | None:
    """Which URL of the setting Apprise cannot read, by its number; None when it reads all."""
    urls = urls_of(text)
    with _silence():
        for number, url in enumerate(urls, 1):
            if not _is_readable(url):
                return f"URL {number} of {len(urls)}"
    return None


def send(urls: Sequence[str], title: str, body: str, attachment: Path | None = None) -> list[int]:
    """Sends the message to all URLs in parallel; returns the numbers (from 1) of those that failed or refused.

    The attachment goes where the service takes files; one that refuses the file receives the message alone. Never
    raises: the work that a message reports is already done.
    """
    if not urls:
        return []
    with _silence(), ThreadPoolExecutor(len(urls)) as threads:
        sent = list(threads.map(lambda url: _is_delivered(url, title, body, attachment), urls))
    return [number for number, is_sent in enumerate(sent, 1) if not is_sent]


def _is_readable(url: str) -> bool:
    import apprise  # half a second, and only where a message is to be sent

    return apprise.Apprise.instantiate(url) is not None


def _is_delivered(url: str, title: str, body: str, attachment: Path | None) -> bool:
    return _is_sent(url, title, body, attachment) or (attachment is not None and _is_sent(url, title, body, None))


def _is_sent(url: str, title: str, body: str, attachment: Path | None) -> bool:
    import apprise

    try:
        one = apprise.Apprise()
        file = None if attachment is None else str(attachment)
        return bool(
            one.add(url) and one.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT, attach=file)
        )
    except Exception:  # any of a hundred services' own; its message may hold the URL
        return False


@contextmanager
def _silence() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
