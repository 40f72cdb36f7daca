"""A run that a real gRPC code server executes, as webserver and daemon have it launched, and the monitor of lost runs.

Which process is killed when is in `fault_kinds`; runs of the command line are in `fault_processes`.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import psutil

from benchmarks.fault_processes import Child, forked, in_environment
from fleet_audit.cli.environment import dagster_home
from fleet_audit.cli.run import unpublished_assets
from fleet_audit.definitions import build_definitions
from fleet_audit.defs import lost_runs
from fleet_audit.defs.resources import FleetResource
from fleet_audit.settings import load_settings
from fleet_audit_tests.integration.installation import Installation

LOCATION = "fleet_audit"
START_TIMEOUT_S = 600  # of a server on a machine with eight other users
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}
  }
}
"""


@dataclass(frozen=True)
class CodeServer:
    """The server, which executes each launched run in a process of its own."""

    home: Installation
    child: Child
    socket: Path

    def runs(self) -> list[psutil.Process]:
        """The processes of its runs."""
        children = psutil.Process(self.child.pid).children()
        return [process for process in children if any("spawn_main" in word for word in process.cmdline())]

    def launch(self, day: dt.date) -> str:
        """Has a run of a day launched, without marts and reports; returns what the launch printed."""

        def work() -> None:
            dagster_home(load_settings())
            with dg.DagsterInstance.get() as instance:
                _launch(instance, self.socket, day)

        return forked(self.child.output.with_name("launch.log"), in_environment(self.home, work)).wait()


def start_code_server(home: Installation) -> CodeServer:
    """Starts `dagster api grpc` on a socket, and returns when it can be asked."""
    socket = home.home.parent / "code.sock"

    def serve() -> None:
        from dagster._cli.api import grpc_command

        dagster_home(load_settings())
        grpc_command(
            ["--socket", str(socket), "--module-name", "fleet_audit.definitions", "--location-name", LOCATION],
            standalone_mode=False,
        )

    server = CodeServer(home, forked(home.home.parent / "code_server.log", in_environment(home, serve)), socket)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not socket.exists():
        assert time.monotonic() < deadline, f"no code server after {START_TIMEOUT_S} s"
        time.sleep(0.1)
    return server


def _launch(instance: dg.DagsterInstance, socket: Path, day: dt.date) -> None:
    """What webserver and queue do: the run is created by GraphQL, and started by the code server."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import GrpcServerTarget
    from dagster_graphql.test.utils import execute_dagster_graphql

    target = GrpcServerTarget(host="localhost", port=None, socket=str(socket), location_name=LOCATION)
    with WorkspaceProcessContext(instance, target) as context:
        workspace = context.create_request_context()
        selected = [{"path": list(key.path)} for key in unpublished_assets(build_definitions())]
        params = {
            "selector": {"repositoryName": "__repository__", "repositoryLocationName": LOCATION, "jobName": "day",
                         "assetSelection": selected},
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day.isoformat()}]},
        }  # fmt: skip
        launched = execute_dagster_graphql(workspace, _LAUNCH, {"params": params}).data["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        instance.launch_run(launched["run"]["runId"], workspace)


def end_lost_runs(home: Installation) -> str:
    """Ends runs whose process is gone, as the sensor `lost_runs` does within minutes; returns the state of each run."""

    def work() -> None:
        dagster_home(load_settings())
        sensor = next(one for one in build_definitions().sensors or () if one.name == "lost_runs")
        now = dt.timedelta(0)
        with (
            dg.DagsterInstance.get() as instance,
            patch.object(lost_runs, "MIN_SILENCE", now),
            patch.object(lost_runs, "MIN_ABSENCE", now),
        ):
            resources = {"fleet": FleetResource()}
            sensor.evaluate_tick(dg.build_sensor_context(instance, None, resources=resources))
            launched = [run for run in instance.get_runs() if run.tags.get("dagster/partition")]
            print(*(run.status.value for run in launched))

    return forked(home.home.parent / "monitor.log", in_environment(home, work)).wait().strip().splitlines()[-1]
