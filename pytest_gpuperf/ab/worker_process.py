"""One measuring process, as the controller sees it: started, listened to, and ended whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_gpuperf.ab.checkout import Name, Side
from pytest_gpuperf.ab.protocol import Channel, Disconnected, FromWorker, ToWorker, decode
from pytest_gpuperf.device.processes import FAMILY
from pytest_gpuperf.sessions.order import VARIABLE, Order, Turns
from pytest_gpuperf.sessions.process import last_lines

_LEAVE_WITHIN = 30.0  # seconds between the last test and the end of the process
_OURS = ("--continue-on-collection-errors", "--maxfail=0")  # one broken file or test must not hide the others


class WorkerLost(Exception):  # noqa: N818 - the controller goes on without it
    """A process that says nothing any more: it died, or it hangs."""

    def __init__(self, worker: WorkerProcess, why: str) -> None:
        super().__init__(why)
        self.worker = worker
        self.why = why


class WorkerProcess:
    """A fresh pytest process on one side's files."""

    def __init__(self, side: Side, arguments: Sequence[str], place: Path, hash_seed: int) -> None:
        self.side = side
        self.name: Name = side.name
        ours, theirs = socket.socketpair()
        turns = Turns(socket=theirs.fileno(), tree=str(side.tree.resolve()), names=side.importable)
        order = Order(turns=turns).environment()
        self._output = (place / f"{side.name}.txt").open("w+b")
        self.process = subprocess.Popen(  # noqa: S603 - the user's own pytest
            side.command([*arguments, *_OURS]),
            cwd=side.tree / side.working,
            env={
                "PYTHONHASHSEED": str(hash_seed),
                **side.environment(place),
                VARIABLE: order[VARIABLE],
                FAMILY: order[FAMILY],
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the controller's to handle
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.channel = Channel(ours)

    def send(self, message: ToWorker) -> None:
        """Send a message; WorkerLost where the process is gone."""
        try:
            self.channel.send(message)
        except Disconnected:
            raise WorkerLost(self, self._epitaph()) from None

    def receive(self, limit: float) -> FromWorker:
        """The next message; WorkerLost where none comes within so many seconds."""
        try:
            line = self.channel.line(limit)
        except Disconnected:
            raise WorkerLost(self, self._epitaph()) from None
        if line is None:
            raise WorkerLost(self, f"said nothing for {limit:.0f} s and was stopped")
        return decode(line)

    def leave(self) -> int | None:
        """Wait for the process to end by itself; its exit code."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(_LEAVE_WITHIN)
        return None

    def end(self) -> None:
        """Kill the process, with every process of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.channel.close()
        self._output.close()

    def output(self) -> str:
        """The last lines that it printed."""
        self._output.seek(0)
        return last_lines(self._output.read().decode(errors="replace"))

    def _epitaph(self) -> str:
        end = time.monotonic() + _LEAVE_WITHIN
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        code = self.process.returncode
        if code is None:
            return "closed its channel and went on"
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name
        memory = "; where the kernel ran out of memory, let the sides run apart: --apart" if name == "SIGKILL" else ""
        return f"was ended by {name}{memory}"
