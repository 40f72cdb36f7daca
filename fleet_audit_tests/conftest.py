"""Real servers for the tests: one PostgreSQL and one S3 server a session, started when first asked for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pyarrow.fs as pafs
import pytest
from dagster._core.storage.defs_state.base import _current_storage

from fleet_audit.settings import Settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of

_TEMPLATE = "migrated"


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
    _statement(url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(_with_database(url, _TEMPLATE))
    engine_of(_with_database(url, _TEMPLATE)).dispose()  # a template may have no connections
    return url


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
    _statement(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _with_database(server, name)
    _statement(server, f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str

    def settings(self, **others: object) -> dict[str, object]:
        """Keyword arguments for Settings."""
        return {
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": "us-east-1",
            **others,
        }

    def variables(self) -> dict[str, str]:
        """The same as environment variables."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def filesystem(self) -> pafs.S3FileSystem:
        return pafs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region="us-east-1",
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    """A real S3 server (SeaweedFS), up in about 5 s; it dies by its process id."""
    with tempfile.TemporaryDirectory(prefix="weed") as folder:
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = _free_ports(8)
        server = S3Server(f"http://127.0.0.1:{s3}", "test-access", "test-secret", "fleet")
        identities = Path(folder) / "identities.json"
        identities.write_text(
            json.dumps(
                {
                    "identities": [
                        {
                            "name": "test",
                            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                            "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
                        }
                    ]
                }
            )
        )
        ports = {
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "master.port": master,
            "master.port.grpc": master_grpc,
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }  # 0: off, they are fixed ones
        options = {
            "dir": folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "s3.config": identities,
            "master.volumeSizeLimitMB": 64,
            "volume.max": 100,
            "master.telemetry": "false",
            **ports,
        }
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "weed"),
                f"-logdir={folder}",
                "server",
                *(f"-{name}={value}" for name, value in options.items()),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _create_bucket(server, process)
            yield server
        finally:
            os.kill(process.pid, signal.SIGKILL)  # an orderly end takes it more than 10 s
            process.wait()


def _create_bucket(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    port = int(server.endpoint.rsplit(":", 1)[1])
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            server.filesystem().create_dir(server.bucket)
            with server.filesystem().open_output_stream(f"{server.bucket}/ready") as stream:
                stream.write(b"1")
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return


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
