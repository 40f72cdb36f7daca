"""Dumps of PostgreSQL databases and their restore, by the `pg_dump`, `pg_restore` and `psql` of the embedded package.

What is dumped and where dumps are kept is in `writing` and `restoring`. The programs are of PostgreSQL 18 and also work
with older servers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from fleet_audit.errors import PermanentError
from fleet_audit.storage.embedded.server import postgres_program
from fleet_audit.storage.postgres import engine_of, sentences

_HEAD_BYTES = 65_536
# pg_restore 18 sets it in the first lines; servers before 17 do not know it
_NEWER_SETTING = b"SET transaction_timeout = 0;\n"
# the comment is the mark by which `storage.migrate` knows that rights were applied
_FORGET_RIGHTS = b"""
do $$ begin if to_regnamespace('ops') is not null then comment on schema ops is null; end if; end $$;
"""
_OWN_SCHEMAS = "nspname !~ '^pg_' and nspname not in ('information_schema', 'public')"
_PUBLIC_TABLES = "select tablename from pg_tables where schemaname = 'public' order by tablename"


def dump_database(url: str, target: Path) -> None:
    """Writes the whole database, as it is at one instant, to a file that `restore_database` and pg_restore read.

    Raises PermanentError with the last line of pg_dump when it fails.
    """
    address, environment = _libpq(url)
    command = [postgres_program("pg_dump"), "--format=custom", f"--file={target}", f"--dbname={address}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PermanentError(f"PostgreSQL could not be dumped: {_last_line(done.stderr)}")


def restore_database(url: str, source: Path) -> None:
    """Replaces everything in the database by the dump, in one transaction: after an error the old content stands.

    Everything belongs to the connecting role and nobody else may read it, until the next migration check gives the
    profiles their rights again: their roles belong to the server, and a new one lacks them. Raises PermanentError with
    the reason of pg_restore or psql.
    """
    address, environment = _libpq(url)
    read = [postgres_program("pg_restore"), "--no-owner", "--no-acl", "--no-policies", "--file=-", str(source)]
    run = [postgres_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"]
    with tempfile.TemporaryFile() as errors:
        reader = subprocess.Popen(read, stdout=subprocess.PIPE, stderr=errors)  # noqa: S603
        writer = subprocess.Popen(  # noqa: S603
            [*run, "--file=-", f"--dbname={address}"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        assert reader.stdout is not None
        assert writer.stdin is not None
        try:
            writer.stdin.write(_drop_statements(url).encode())
            _copy_script(reader.stdout, writer.stdin)
            writer.stdin.write(_FORGET_RIGHTS)
            is_whole = reader.wait() == 0
        except BrokenPipeError:  # psql stopped at an error, which it has written
            is_whole = False
        if not is_whole:
            writer.kill()  # before the end of its input, at which it would commit
            reader.kill()
        _close(writer.stdin)
        if writer.wait() or reader.wait():
            errors.seek(0)
            raise PermanentError(f"The dump could not be restored: {_last_line(errors.read().decode())}")


def has_tables(url: str) -> bool:
    """Whether the database has tables in any schema of its own or in `public`."""
    query = "select exists (select from pg_tables where schemaname !~ '^pg_' and schemaname <> 'information_schema')"
    with sentences("Looking into the database"), engine_of(url).connect() as connection:
        return bool(connection.scalar(sa.text(query)))


def _drop_statements(url: str) -> str:
    with sentences("Looking into the database"), engine_of(url).connect() as connection:
        quote = connection.dialect.identifier_preparer.quote
        schemas = connection.scalars(sa.text(f"select nspname from pg_namespace where {_OWN_SCHEMAS}"))  # noqa: S608
        drops = [f"drop schema {quote(name)} cascade;" for name in schemas]
        drops += [f"drop table public.{quote(name)} cascade;" for name in connection.scalars(sa.text(_PUBLIC_TABLES))]
    return "".join(f"{one}\n" for one in ["set client_min_messages = warning;", *drops])


def _copy_script(source: IO[bytes], target: IO[bytes]) -> None:
    target.write(source.read(_HEAD_BYTES).replace(_NEWER_SETTING, b""))
    shutil.copyfileobj(source, target, _HEAD_BYTES)


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return


def _libpq(url: str) -> tuple[str, Mapping[str, str]]:
    """The address without its password, and an environment with it: command lines are visible to all users."""
    parts = sa.make_url(url).set(drivername="postgresql")
    environment = dict(os.environ)
    if parts.password:
        environment["PGPASSWORD"] = str(parts.password)
    return parts.set(password=None).render_as_string(hide_password=False), environment


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given."
