"""Passwords: hashed with argon2, compared in the same time whether the user exists or not.

Only hashing belongs here; who may try how often is counted in the database (`auth.record_login`).
"""

from __future__ import annotations

from functools import cache

from pwdlib import PasswordHash

from fleet_audit.errors import PermanentError

MIN_LENGTH = 12  # NIST SP 800-63B asks for 8, and for 15 where the password is the only factor
MAX_LENGTH = 256  # argon2 reads all of it: an endless one would keep a processor busy


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash("the password of no user")


def hash_password(password: str) -> str:
    """The argon2id hash with its salt and costs. Raises PermanentError for a password that is too short or long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PermanentError(f"The password has {len(password)} characters: choose {MIN_LENGTH} to {MAX_LENGTH}.")
    return _hasher().hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password has that hash; without one the work is done all the same, and the answer is no."""
    if len(password) > MAX_LENGTH:
        return False
    return _hasher().verify(password, password_hash or _hash_of_nobody()) and password_hash is not None
