"""A deployment by settings alone: Debian's PostgreSQL, S3, code server on a socket, two webservers, daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import requests
import yaml

from fleet_audit_tests.conftest import S3Server
from fleet_audit_tests.ports import free_port
from fleet_audit_tests.waiting import wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROGRAMS = Path(sys.executable).parent
OURS = ("FLEET_", "AWS_", "DAGSTER_", "PG")
PASSWORDS = {"admin": "ad:min", "migrate": "mi/grate", "run": "ru@n"}  # characters that a URL gives a meaning


def debian_postgres() -> Path | None:
    """The folder of the newest server's programs that Debian installed, None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres_cluster(folder: Path) -> Iterator[int]:
    """A server with password login, run as `postgres` where this process is root; gives its port."""
    programs = debian_postgres()
    assert programs is not None
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder.mkdir()
    password = folder / "password"
    password.write_text(PASSWORDS["admin"])
    if user:
        for path in (folder, password):
            shutil.chown(path, "postgres", "postgres")
        for path in folder.parents:
            path.chmod(path.stat().st_mode | 0o001)
    data, port = folder / "data", free_port()
    initdb = ["initdb", "-U", "admin", "-A", "scram-sha-256", f"--pwfile={password}", "-D", data, "-E", "UTF8"]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    pg_ctl = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    subprocess.run([str(programs / initdb[0]), *map(str, initdb[1:])], check=True, capture_output=True, cwd="/", **user)
    subprocess.run([*pg_ctl, "-o", options, "start"], check=True, capture_output=True, cwd="/", **user)
    try:
        yield port
    finally:
        subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/", **user)


@dataclass
class Deployment:
    """The variables and addresses of a deployment; `services` run while it is entered."""

    root: Path
    port: int
    s3: S3Server
    ports: Mapping[str, int] = field(default_factory=lambda: {"full": free_port(), "read_only": free_port()})

    def url(self, role: str, database: str = "fleet", driver: str = "postgresql") -> str:
        """The address of a database for `migrate` or `run`."""
        password = requests.utils.quote(PASSWORDS[role], safe="")
        return f"{driver}://fleet_{role}:{password}@127.0.0.1:{self.port}/{database}"

    def environment(self, role: str = "run") -> dict[str, str]:
        """The variables of a service, as docs/production.md lists them."""
        return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {
            "FLEET_HOME": str(self.root / "home"),
            "FLEET_WAREHOUSE_URL": self.url(role),
            "FLEET_LAKE_URL": f"s3://{self.s3.bucket}/lake",
            "FLEET_INBOX_URL": f"s3://{self.s3.bucket}/inbox",
            "DAGSTER_LOG_BUCKET": self.s3.bucket,
            "FLEET_LOG_FORMAT": "json",
            "FLEET_PSEUDONYM_KEY": "of the test",
            "DAGSTER_CODE_SOCKET": str(self.root / "code.sock"),
            "DAGSTER_HOME": str(self.root / "dagster"),
            "DAGSTER_POSTGRES_URL": self.url(role, "dagster", "postgresql+psycopg2"),
            **self.s3.variables(),
        }

    def write_instance(self) -> None:
        """DAGSTER_HOME with deploy/dagster.yaml, its logs replaced by deploy/dagster-s3-logs.yaml."""
        (self.root / "dagster").mkdir()
        (self.root / "home").mkdir()
        config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
        config |= yaml.safe_load((DEPLOY / "dagster-s3-logs.yaml").read_text())
        config["local_artifact_storage"]["config"]["base_dir"] = str(self.root / "dagster")
        (self.root / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(config))

    def sql_file(self, name: str, role: str, **variables: str) -> None:
        """Runs a file of deploy/ with psql, as an administrator or as a role in database fleet."""
        url = self.url(role) if role != "admin" else f"postgresql://admin:ad%3Amin@127.0.0.1:{self.port}/postgres"
        given = [f"--set={key}={value}" for key, value in variables.items()]
        command = [
            shutil.which("psql") or "psql",
            "-X",
            "-q",
            "--set=ON_ERROR_STOP=1",
            *given,
            "-f",
            DEPLOY / name,
            url,
        ]
        subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)

    def admin(self, sql: str) -> None:
        """Runs statements as the server's administrator, as whom no service connects."""
        connection = psycopg2.connect(f"postgresql://admin:ad%3Amin@127.0.0.1:{self.port}/postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    def command(self, *arguments: object, role: str = "run") -> subprocess.CompletedProcess[str]:
        """A program of the package's environment, to its end."""
        program, *rest = map(str, arguments)
        return subprocess.run(
            [str(PROGRAMS / program), *rest],
            cwd=self.root,
            env=self.environment(role),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    @contextmanager
    def services(self) -> Iterator[None]:
        """Code server, webserver full and read-only, and daemon, each as docs/production.md starts it."""
        workspace = ["-w", str(DEPLOY / "workspace-socket.yaml")]
        address = ["-h", "127.0.0.1", "-p"]
        with ExitStack() as stack:
            stack.enter_context(
                self._service("dagster", "code-server", "start", "-m", "fleet_audit.definitions", "-s",
                              self.environment()["DAGSTER_CODE_SOCKET"], "--location-name", "fleet_audit")
            )  # fmt: skip
            wait_until(
                lambda: Path(self.environment()["DAGSTER_CODE_SOCKET"]).exists(), "the code server's socket", 600
            )
            stack.enter_context(self._service("dagster-webserver", *address, self.ports["full"], *workspace))
            stack.enter_context(
                self._service("dagster-webserver", "--read-only", *address, self.ports["read_only"], *workspace)
            )
            for name in self.ports:
                wait_until(lambda name=name: self.is_loaded(name), f"the {name} webserver", 600, pause_s=1)
            stack.enter_context(self._service("dagster-daemon", "run", "--log-format", "json", *workspace))
            yield

    @contextmanager
    def _service(self, program: str, *arguments: object) -> Iterator[None]:
        log = (self.root / f"{program}-{arguments[0]}.log").open("w")
        process = subprocess.Popen(
            [str(PROGRAMS / program), *map(str, arguments)],
            cwd=self.root, env=self.environment(), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with suppress(ProcessLookupError):  # a code server's own process outlives one that was killed
                os.killpg(process.pid, signal.SIGKILL)
            log.close()

    def graphql(self, query: str, webserver: str = "full", **variables: Any) -> dict[str, Any]:
        """The `data` of an answer; an answer with errors fails."""
        answer = requests.post(
            f"http://127.0.0.1:{self.ports[webserver]}/graphql",
            json={"query": query, "variables": variables},
            timeout=300,
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_loaded(self, webserver: str) -> bool:
        """Whether the webserver answers and has loaded the code location."""
        query = "{repositoriesOrError{... on RepositoryConnection{nodes{name}}}}"
        try:
            return bool(self.graphql(query, webserver)["repositoriesOrError"].get("nodes"))
        except requests.RequestException:
            return False
