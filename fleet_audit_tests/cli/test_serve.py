"""The service as a process: users of the demo, and an end that leaves no PostgreSQL behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from fleet_audit.access.accounts.demo_users import add_demo_users
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.ports import free_port


def test_a_terminated_service_stops_its_embedded_postgresql(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "fleet_audit.cli", "serve", "--home", str(tmp_path), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "FLEET_SERVE_SECRET": "x" * 40}, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                assert requests.get(f"http://127.0.0.1:{port}/health", timeout=60).json() == {"status": "ok"}
                break
            except requests.ConnectionError:
                assert process.poll() is None, "the service ended"
                assert time.monotonic() < deadline, "the service does not answer"
                time.sleep(0.2)
        assert (tmp_path / "postgres/data/postmaster.pid").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(240) == 0
    finally:
        process.kill()
    assert not (tmp_path / "postgres/data/postmaster.pid").exists()


def test_users_of_the_demo_see_what_their_profile_does(postgres_url: str) -> None:
    settings = Settings(_env_file=None, warehouse_url=None)
    with pytest.raises(PermanentError, match="no carrier yet"):
        add_demo_users(settings, postgres_url)
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text("insert into ref.carriers values ('C01', 'Um'), ('C02', 'Dois')"))
        connection.execute(
            sa.text("insert into ref.units (unit_code, name, timezone) values ('U1', 'Usina', 'America/Sao_Paulo')")
        )
    assert len(add_demo_users(settings, postgres_url)) == 5
    with engine_of(postgres_url).connect() as connection:
        grants = connection.execute(sa.text("select user_id, carrier_code, unit_code from auth.access")).all()
        profiles = set(connection.scalars(sa.text("select profile from auth.users")))
    assert {tuple(row[1:]) for row in grants} == {("C01", None), (None, "U1"), (None, None)}
    assert len(profiles) == 5
    with pytest.raises(PermanentError, match="FLEET_WAREHOUSE_URL"):
        add_demo_users(Settings(_env_file=None, warehouse_url="postgresql://x@host/db"), postgres_url)
