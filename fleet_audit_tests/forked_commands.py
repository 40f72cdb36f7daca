"""`fleet-audit` as a program whose processes are forked from one that has imported the product.

Each call is a process of its own with its own arguments, variables, folder, output and exit code, and runs the same
entry point; only what a process imports first, 2 s of processor time, and the compiled functions, 1 s, are loaded once.
It ends as any does, but for the modules, which the interpreter would clear one by one: 0.14 s. A program that is killed
does not kill its fork: tests that interrupt a run start the installed one.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fleet_audit_tests.waiting import wait_until

_MODULES = (
    "fleet_audit.cli.main",
    "fleet_audit.cli.run",
    "fleet_audit.cli.summary",
    "fleet_audit.cli.psql",
    "fleet_audit.definitions",
    "fleet_audit.storage.event_log",
    "fleet_audit.storage.migrate",
    "dagster._core.storage.base_storage",
    "dagster._core.execution.execute_in_process",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.upath_io_manager",
    "fontTools.ttLib",
    "typst",
)
# Read while the product is imported: a call with another value starts the program anew.
_READ_AT_IMPORT = ("FLEET_START_DATE", "FLEET_CLOSING_DAY", "FLEET_LOG_FORMAT", "FLEET_OTLP_URL")
_SERVER = "from fleet_audit_tests.forked_commands import serve; import sys; serve(sys.argv[1])"
_STREAMS = 3
_MAX_BYTES = 1 << 20
_CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    called = json.dumps([sys.argv, os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [called.encode()], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16) or 70))
"""


@contextmanager
def forked_program(variables: Mapping[str, str]) -> Iterator[Path]:
    """Path of the program; its server, which imports with these variables, ends with the block."""
    with tempfile.TemporaryDirectory(prefix="forked") as folder:
        address, program = Path(folder) / "socket", Path(folder) / "fleet-audit"
        program.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        command = [sys.executable, "-c", _SERVER, str(address)]
        server = subprocess.Popen(command, env=dict(variables), start_new_session=True)
        try:
            wait_until(lambda: address.exists() or server.poll() is not None, "the server of commands")
            assert server.poll() is None, "the server of commands ended"
            yield program
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with the forks of tests that were ended
            server.wait()


def serve(address: str) -> None:
    """Fork a process for each call, for ever."""
    for name in _MODULES:
        importlib.import_module(name)
    _load_compiled_functions()
    from fleet_audit.definitions import build_definitions

    build_definitions()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.new")
        server.listen()
        os.rename(f"{address}.new", address)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
        while True:
            call, _ = server.accept()
            with call:
                if os.fork() == 0:
                    server.close()
                    _answer(call)
                    return


def _load_compiled_functions() -> None:
    """Have this process load them; in one thread, because a fork has none of the others."""
    from fleet_audit.cli.prepare import compile_functions
    from fleet_audit.logic.primitives.workers.threads import threads_limited_to

    with threads_limited_to(1):
        compile_functions()


def _answer(call: socket.socket) -> None:
    """Run the command in a fork and send its exit code; returns in that fork alone, whose interpreter then ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    called, streams = _received(call)
    pid = os.fork()
    if pid == 0:
        call.close()
        _run(streams, *json.loads(called))
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(pid, 0)
    call.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


def _received(call: socket.socket) -> tuple[bytes, list[int]]:
    called, streams, _, _ = socket.recv_fds(call, _MAX_BYTES, _STREAMS)
    while part := call.recv(_MAX_BYTES):
        called += part
    return called, streams


def _run(streams: list[int], arguments: list[str], folder: str, variables: dict[str, str]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    is_imported_so = all(os.environ.get(name) == variables.get(name) for name in _READ_AT_IMPORT)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    if not is_imported_so:
        os.execv(sys.executable, [sys.executable, "-m", "fleet_audit.cli", *arguments[1:]])
    time.tzset()
    tempfile.tempdir = None  # it was chosen with the variables of the server
    sys.argv = arguments
    from fleet_audit.cli.main import main

    code = exit_code(main)
    threading._shutdown()  # as the interpreter does: wait for threads, then call what was registered for the end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_code(program: Callable[[], object]) -> int:
    """What the interpreter would end with after the program; it prints what the interpreter would print."""
    try:
        program()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
