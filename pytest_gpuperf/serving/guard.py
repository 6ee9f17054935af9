"""Runs a server's command, and ends it with everything it started when whoever asked for it is gone.

Run by its path, by Python without site packages, so that it costs a server's start nothing. It speaks on stdout: the
server's process id, and at the end its exit code. It stops the server when its stdin is closed, which the kernel does
for a parent that was killed. PR_SET_PDEATHSIG on the server alone would not do: it fires when the *thread* that
started the server ends, reaches none of the server's children, and cannot be set safely from a process with threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_EVERY = 0.25  # seconds
_REAPED_WITHIN = 5.0


def _run(grace: float, regions: str, log: str, command: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it stops us by closing the pipe
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what the server leaves behind becomes a child of this process
    with Path(log).open("ab") as output:
        # This process has one thread, so preexec_fn is safe here.
        server = subprocess.Popen(  # noqa: S603 - the command it was given
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_prepared,  # noqa: PLW1509
        )
    _say(server.pid)
    parent = os.getppid()
    while server.poll() is None and os.getppid() == parent:
        if select.select([sys.stdin], [], [], _LOOK_EVERY)[0] and not os.read(0, 1):
            break
    _end(server, grace)
    for region in Path("/dev/shm").glob(f"{regions}*") if regions else ():  # noqa: S108 - where a crashed stub leaves them
        with contextlib.suppress(OSError):
            region.unlink()
    _say(server.returncode)
    return 0


def _prepared() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # ignored signals would be inherited
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(number, flush=True)


def _end(server: subprocess.Popen[bytes], grace: float) -> None:
    """Ask it to end, then make it; what is left of its group is ended too."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)  # a stopped process handles no signal until it continues
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    _reap()


def _reap() -> None:
    """The rest of its group was killed too; until they are reaped, ports and memory may still be held."""
    end = time.monotonic() + _REAPED_WITHIN
    while time.monotonic() < end:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(_run(float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
