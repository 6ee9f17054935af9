"""A server's process: started on free ports, waited for until it is ready, its log kept, and always ended."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_gpuperf.device.processes import stat_of
from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.faults import last_lines
from pytest_gpuperf.serving.server import LAST_LINES

HOST = "127.0.0.1"
READY_WITHIN = 300.0  # seconds: a large model on a cold disk takes its time
_GUARD = Path(__file__).with_name("guard.py")
_GRACE = 15.0  # seconds a server has to end by itself
_LOOK_EVERY = 0.01
_REAPED_WITHIN = 10.0  # seconds a guard has to kill and reap what did not end
_TAIL_BYTES = 65536
_TABLE = ("+-", "| ")
_TRIES = 3  # with other ports, where somebody else was faster
_TAKEN = ("already in use", "couldn't bind http server socket")  # as the system and Triton, and as llama.cpp say it


@dataclass(frozen=True, kw_only=True)
class ServerCommand:
    """What is needed to start one server."""

    name: str
    command: Sequence[str]
    ready_url: str  # answers 200 when the model can be asked
    ports: Sequence[int] = ()  # looked at first: a stranger on one of them could pass for the server
    environment: Mapping[str, str] | None = None  # None: ours
    regions: str = ""  # prefix of its shared memory in /dev/shm
    grace: float = _GRACE


@dataclass
class ServerProcess:
    """One running server and the guard that ends it; its working folder goes with it."""

    name: str
    pid: int
    log: Path
    ready_in: float = 0.0  # seconds from its start
    _guard: subprocess.Popen[str] = field(kw_only=True, repr=False)
    _limit: float = field(kw_only=True, repr=False)
    exit_code: int | None = None

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._guard.poll() is None and self._running()

    def _running(self) -> bool:
        try:  # a zombie still has its number: the guard may not have reaped it yet
            return stat_of(self.pid)[0] not in {"Z", "X"}
        except (OSError, IndexError):
            return False

    def log_tail(self, lines: int = LAST_LINES) -> str:
        """The last lines it wrote."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:  # it was stopped and its folder removed
            return ""
        # Triton prints its whole configuration as a table: what matters would not be among the last lines.
        log_lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_TABLE)]
        return "\n".join(log_lines[-lines:])

    def stop(self) -> None:
        """End it and everything it started."""
        guard = self._guard
        if guard.stdin is None or guard.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
        try:
            guard.wait(self._limit)
        except subprocess.TimeoutExpired:  # pragma: no cover - a guard that the machine does not let run
            guard.kill()
            guard.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if guard.stdout is not None:
            words = guard.stdout.read().split()
            self.exit_code = int(words[0]) if words else None
            guard.stdout.close()


def processor_seconds(group: int) -> float | None:
    """Processor time that the processes of a group have used so far; None where the group is gone."""
    ticks = [_ticks(int(process.name), group) for process in Path("/proc").glob("[0-9]*")]
    known = [t for t in ticks if t is not None]
    return sum(known) / os.sysconf("SC_CLK_TCK") if known else None


def _ticks(pid: int, group: int) -> int | None:
    try:
        fields = stat_of(pid)
    except OSError:  # it has just ended
        return None
    return sum(map(int, fields[11:15])) if int(fields[2]) == group else None  # its own, and its ended children's


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on; somebody may take one before it is used."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def started(make: Callable[[list[int]], ServerCommand], ports: int, *, timeout: float, folder: Path) -> ServerProcess:
    """Start the server that `make` describes for free ports, and try other ports where one was taken meanwhile."""
    for last in (*[False] * (_TRIES - 1), True):
        try:
            return start(make(free_ports(ports)), timeout=timeout, folder=folder)
        except PortTakenError:
            if last:
                raise
    raise AssertionError("unreachable")  # pragma: no cover


class PortTakenError(ServerError):
    """Somebody else listens on the port."""


def start(launch: ServerCommand, *, timeout: float, folder: Path) -> ServerProcess:
    """Start a server and wait until it is ready. Whatever goes wrong, nothing of it is left running."""
    if any(_listening(port) for port in launch.ports):
        raise _taken(launch)
    folder.mkdir(parents=True, exist_ok=True)
    handle, log = tempfile.mkstemp(prefix=f"{launch.name}-", suffix=".log", dir=folder)
    try:
        guard = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-SE", str(_GUARD), str(launch.grace), launch.regions, log, *launch.command],
            env=None if launch.environment is None else dict(launch.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=handle,
            text=True,
            start_new_session=True,
        )
    finally:
        os.close(handle)
    process = ServerProcess(
        launch.name, _read_pid(guard), Path(log), _guard=guard, _limit=launch.grace + _REAPED_WITHIN
    )
    begun = time.perf_counter()
    try:
        _wait(process, launch, begun + timeout)
    except BaseException:
        process.stop()
        raise
    process.ready_in = time.perf_counter() - begun
    return process


def _read_pid(guard: subprocess.Popen[str]) -> int:
    """The server's process id, which the guard prints once it runs; 0 where its command could not be run at all."""
    line = guard.stdout.readline() if guard.stdout else ""
    return int(line) if line.strip() else 0


def _wait(process: ServerProcess, launch: ServerCommand, until: float) -> None:
    while True:
        last = "no answer"
        if not process.alive():
            process.stop()
            raise _ended(process, launch)
        try:
            fetched(launch.ready_url, timeout=1)
            if process.alive():  # it may be another's server on a taken port
                return
        except OSError as error:
            last = str(error)
        if time.perf_counter() > until:
            log = process.log_tail()
            raise ServerError(
                f"The server {launch.name!r} was not ready in time: it runs, and {launch.ready_url} does not say that "
                f"it is ready ({last}). It was stopped. Give a slow model more time (timeout=600), "
                f"or read its last lines."
                f"{last_lines(log)}"
            )
        time.sleep(_LOOK_EVERY)


def _taken(launch: ServerCommand, log: str = "") -> PortTakenError:
    return PortTakenError(
        f"The server {launch.name!r} did not start: another process listens on its port ({launch.ready_url}). End that "
        f"one, or leave the port out and a free one is taken.{last_lines(log)}"
    )


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _ended(process: ServerProcess, launch: ServerCommand) -> ServerError:
    log = process.log_tail()
    if any(words in log.lower() for words in _TAKEN):
        return _taken(launch, log)
    return ServerError(
        f"The server {launch.name!r} did not start: its process ended with {_how(process.exit_code)} before it was "
        f"ready. Its last lines say why; the command was: {shlex.join(launch.command)}{last_lines(log)}"
    )


def _how(code: int | None) -> str:
    if code is None:
        return "no exit code (its command could not be run)"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
