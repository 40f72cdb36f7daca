"""A real S3 server (SeaweedFS) on ports of its own: started, killed, and started again on the same files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.fs as pafs

from fleet_audit_tests.ports import free_port

_PORTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
          "filer.port.grpc")  # fmt: skip


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


@dataclass
class Seaweed:
    """A server whose files lie in a folder; it is up in about 5 s, and dies by its process id."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in _PORTS})
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> S3Server:
        """How to reach it."""
        return S3Server(f"http://127.0.0.1:{self.ports['s3.port']}", "test-access", "test-secret", "fleet")

    def start(self) -> None:
        """Starts it and waits until its bucket can be written."""
        identity = {
            "name": "test",
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            "credentials": [{"accessKey": self.server.access_key, "secretKey": self.server.secret_key}],
        }
        identities = self.folder / "identities.json"
        identities.write_text(json.dumps({"identities": [identity]}))
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "s3.config": identities,
            "master.volumeSizeLimitMB": 64,
            "volume.max": 100,
            "master.telemetry": "false",
            **self.ports,
            "s3.port.iceberg": 0,  # 0: off, they are fixed ones
            "s3.port.lance": 0,
        }
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "weed"),
                f"-logdir={self.folder}",
                "server",
                *(f"-{name}={value}" for name, value in options.items()),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _create_bucket(self.server, self.process)

    def kill(self) -> None:
        """Ends it at once: an orderly end takes it more than 10 s."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _create_bucket(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    port = int(server.endpoint.rsplit(":", 1)[1])
    deadline = time.monotonic() + 240
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
