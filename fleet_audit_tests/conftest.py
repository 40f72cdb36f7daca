"""Real servers for the tests: one PostgreSQL and one S3 server a session, started when first asked for."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from dagster._core.storage.defs_state.base import _current_storage
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from fleet_audit.garbage_collection import collect_rarely
from fleet_audit.settings import Settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.seaweed import S3Server, Seaweed

_TEMPLATE = "migrated"
_ONE_BY_ONE = "test_field_cases.py"
_SERVER_SETTINGS = {
    "fsync": "off",  # a power cut alone needs it; else each database waits for the disk
    "autovacuum": "off",  # it visits hundreds of databases that live for seconds
}
# A copy through the log, as PostgreSQL makes it by default, took 80 ms of processor time, one by file 40.
_COPIED = "STRATEGY FILE_COPY"
collect_rarely()
# The same examples in every run, however slow the machine: a failure by chance says nothing of what was changed.
# pytest --hypothesis-profile=default looks for others.
hypothesis_settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("repeatable")


class _Modules(LoadScopeScheduling):
    """Hands modules to workers whole, but field cases, which are long and share nothing, one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if _ONE_BY_ONE in nodeid else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return _Modules(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def no_instance_is_left_behind() -> Iterator[None]:
    """Dagster keeps the storage of the instance that was entered last in a context variable.

    One that is entered twice never takes it out again, and every later definition of the process fails on it.
    """
    yield
    _current_storage.set(None)


def _statement(url: str, sql: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()


def _with_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a session-wide embedded server with a migrated template database (about 1.5 s)."""
    url = ensure_running(tmp_path_factory.mktemp("pg"))
    for setting, value in _SERVER_SETTINGS.items():
        _statement(url, f"ALTER SYSTEM SET {setting} = {value}")
    _statement(url, "SELECT pg_reload_conf()")
    _statement(url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(_with_database(url, _TEMPLATE))
    engine_of(_with_database(url, _TEMPLATE)).dispose()  # a template may have no connections
    return url


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Callable[..., str]:
    """Makes a database of the session's server, with all tables or as another one is, and returns its URL (50 ms).

    For what lives longer than one test: it goes with the server.
    """

    def make(template: str = _TEMPLATE) -> str:
        name = f"i{uuid.uuid4().hex[:12]}"
        _statement(postgres_server, f"CREATE DATABASE {name} TEMPLATE {template} {_COPIED}")
        return _with_database(postgres_server, name)

    return make


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """A database without tables."""
    yield from _database(postgres_server, "template0")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh database with all tables (a copy of the template, about 50 ms)."""
    yield from _database(postgres_server, _TEMPLATE)


def _database(server: str, template: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    _statement(server, f"CREATE DATABASE {name} TEMPLATE {template} {_COPIED}")
    yield _with_database(server, name)
    _statement(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    """A real S3 server (SeaweedFS), up in about 5 s."""
    with tempfile.TemporaryDirectory(prefix="weed") as folder:
        process = Seaweed(Path(folder))
        try:
            process.start()
            yield process.server
        finally:
            process.kill()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation under `tmp_path`, whatever the environment and `.env` say."""
    return Settings(
        _env_file=None,
        home=tmp_path / "home",
        inbox_url=str(tmp_path / "inbox"),
        lake_url=None,
        warehouse_url=None,
        api_url=None,
    )
