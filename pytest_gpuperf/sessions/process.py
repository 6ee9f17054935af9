"""Running one fresh pytest process to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_gpuperf.device.numa import Placement
from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.sessions.die_with_parent import on_leash
from pytest_gpuperf.sessions.order import Order

LAST_LINES = 25


def run_session(
    arguments: Sequence[str],
    *,
    only: Sequence[str] | None = None,
    slowdown: float = 0.0,
    profiles: bool = False,
    spared: Sequence[str] = (),
    look: bool = False,
    directory: Path | None = None,
    timeout: float | None = None,
    place: Placement | None = None,
) -> Run:
    """Run ``python -m pytest ARGUMENTS`` in a process of its own, at a place if one is given; gives what it recorded.

    Anything but a recorded, passing session is a SessionError that shows the last lines of its output.
    """
    with scratch_folder("session") as folder:
        save = folder / "run.json"
        order = Order(
            save=str(save),
            only=None if only is None else tuple(only),
            slowdown=slowdown,
            profiles=profiles,
            spared=tuple(spared),
            look=look,
        )
        command = [sys.executable, "-m", "pytest", *arguments]
        placed = command if place is None else place.command(command)
        code, text = run_to_end(placed, folder, order.environment(), directory=directory, timeout=timeout)
        if code is None:
            raise SessionError(_failure(command, f"took longer than {timeout:.0f} s and was stopped", text))
        if code != 0:
            raise SessionError(_failure(command, f"ended with exit code {code}", text))
        if not save.exists():
            raise SessionError(
                _failure(command, "recorded nothing: no test that uses the fixture `gpuperf` ran in it", text)
            )
        return read_run(save)


def run_to_end(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    timeout: float | None = None,
) -> tuple[int | None, str]:
    """Run a program that dies with this process; its exit code, or None where it took too long, and what it printed."""
    with (folder / "output.txt").open("w+b") as output:
        process = subprocess.Popen(  # noqa: S603 - the user's own pytest, or code of ours
            on_leash(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = _wait(process, timeout)
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], timeout: float | None) -> int | None:
    """The exit code, or None where it took too long. Whatever happens, the process and its group are gone.

    If this process is killed, it cannot end the other one; the leash does.
    """
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what a test left running: it would disturb the next session
        process.wait()


def _failure(command: Sequence[str], what: str, text: str) -> str:
    return f"A fresh pytest process {what}.\n  {' '.join(command)}\n  Its last lines:\n{last_lines(text)}"


def last_lines(text: str) -> str:
    """The last lines of what a process printed, indented."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-LAST_LINES:])
