"""Making a certificate. Each part runs in a process of its own, so that one that crashes does not spoil the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from select import select
from tempfile import TemporaryFile
from typing import IO

import msgspec

from pytest_gpuperf.device.identity import software
from pytest_gpuperf.device.processes import family_folder
from pytest_gpuperf.errors import DeviceError, SessionError
from pytest_gpuperf.instrument import workloads
from pytest_gpuperf.instrument.messages import DeviceFound, Message, Refused, StepBegins, decode
from pytest_gpuperf.instrument.steps import Step, affordable, steps_of
from pytest_gpuperf.records.certificate import Certificate, LeftOut, Part, Row, Selftest, judged, rows_of_gate
from pytest_gpuperf.records.files import write_report
from pytest_gpuperf.scratch import cache_folder, scratch_folder
from pytest_gpuperf.sessions.die_with_parent import on_leash
from pytest_gpuperf.sessions.error_rates import BASELINE_SESSIONS, CONFIRMATIONS, SLOWDOWNS, check_rounds, selftest

_PATIENCE = 5  # times what a part is expected to take, and
_PATIENCE_SECONDS = 60.0  # for starting: libraries load slowly from a cold disk
_SESSION = 8.0  # seconds of one session of the built-in workloads
_ROUND = len(SLOWDOWNS) * _SESSION
_GATE = BASELINE_SESSIONS * _SESSION  # before its first round

PROGRAM = "pytest_gpuperf.instrument"

Progress = Callable[[str], None]


def certify(
    parts: Sequence[Part],
    device: str,
    *,
    budget: float | None,
    rounds: int,
    arguments: Sequence[str],
    progress: Progress,
) -> Certificate:
    """Look at those parts of the instrument, as far as the budget goes.

    The gate is judged by the tests that `arguments` name, or by built-in workloads.
    """
    if "gate" in parts:
        check_rounds(rounds)
    started = time.monotonic()
    found = identified(device)
    every = [step for step in steps_of(found.environment.device.kind) if step.part in parts]
    steps, left_out = affordable(every, budget)
    rows: list[Row] = []
    for part in dict.fromkeys(step.part for step in steps):
        for row in _part([step for step in steps if step.part == part], device):
            rows.append(row)
            progress(f"{row.part}: {row.what}: {row.word}")
    gate = None
    if "gate" in parts:
        left = None if budget is None else budget - (time.monotonic() - started)
        rounds = rounds if left is None else min(rounds, int((left - _GATE) / _ROUND))
        if rounds > CONFIRMATIONS:
            gate = _judged(rounds, arguments, device, _of_gate(progress))
            rows += rows_of_gate(gate)
        else:
            left_out.append(LeftOut("gate", "error rates", _GATE + (CONFIRMATIONS + 1) * _ROUND))
    return Certificate(
        gpuperf=software().get("gpuperf", "unknown"),
        environment=found.environment,
        card=found.card,
        created=datetime.now(UTC).replace(microsecond=0),
        seconds=time.monotonic() - started,
        rows=tuple(rows),
        left_out=tuple(left_out),
        gate=gate,
    )


def _judged(
    rounds: int, arguments: Sequence[str], device: str, progress: Callable[[int, int, float], None]
) -> Selftest:
    if arguments:
        return selftest(rounds, arguments, progress=progress)
    ours = ["-p", "no:cacheprovider", "--gpuperf-device", device, str(Path(workloads.__file__))]
    # pytest would take a copy of this package that lies where it was started (a clone) for the one that is installed.
    with scratch_folder("selftest") as folder:
        return selftest(rounds, ours, directory=folder, progress=progress)


def _of_gate(progress: Progress) -> Callable[[int, int, float], None]:
    def report_session(done: int, wanted: int, seconds: float) -> None:
        left = seconds / done * (wanted - done)
        progress(f"gate: session {done} of {wanted}, about {left / 60:.0f} min left")

    return report_session


@dataclass(frozen=True)
class _Ended:
    """How a process of some steps ended."""

    code: int | None  # None: it took too long
    output: str

    @property
    def why(self) -> str:
        how = "took too long, and was stopped" if self.code is None else f"ended with exit code {self.code}"
        last = self.output.strip().splitlines()[-1:]
        return f"{how}: {last[0].strip()}" if last else how


def identified(device: str) -> DeviceFound:
    """Which device that is, by a process of its own: this one need not open a card that others are to measure on."""
    for message in _run(device, (), _PATIENCE_SECONDS):
        if isinstance(message, Refused):
            raise DeviceError(message.why)
        if isinstance(message, DeviceFound):
            return message
        if isinstance(message, _Ended):
            raise SessionError(f"No device was found: the process that looks for it {message.why}")
    raise AssertionError  # the last message is always how the process ended


def _part(steps: Sequence[Step], device: str) -> Iterator[Row]:
    """What the steps find. One that ends its process, or takes for ever, has failed; the others get a new process."""
    while steps:
        names = [step.name for step in steps]
        current = names[0]
        ended = _Ended(None, "")
        for message in _run(device, names, _PATIENCE_SECONDS + _PATIENCE * sum(step.seconds for step in steps)):
            if isinstance(message, StepBegins):
                current = message.step
            elif isinstance(message, Row):
                yield message
            elif isinstance(message, _Ended):
                ended = message
        if ended.code == 0:
            return
        yield judged(steps[0].part, current, ended.why, "ends well", holds=False)
        steps = steps[names.index(current) + 1 :]


def _run(device: str, names: Sequence[str], patience: float) -> Iterator[Message | _Ended]:
    """The messages of a process of some steps, and how it ended. It is gone when this is, with all that it started."""
    family_folder()  # inherited: on a card our processes know each other by it
    command = [sys.executable, "-P", "-m", PROGRAM, device, *names]
    with TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and our own module
            on_leash(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            in_time = yield from _messages(process.stdout, time.monotonic() + patience)
            code = process.wait(_PATIENCE_SECONDS) if in_time else None
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        output.seek(0)
        yield _Ended(code, output.read().decode(errors="replace"))


def _messages(stream: IO[bytes], deadline: float) -> Generator[Message, None, bool]:
    """Line by line; whether the stream came to its end in time."""
    rest = b""
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select([stream], [], [], left)
        if not readable:
            break
        read = os.read(stream.fileno(), 65536)
        if not read:
            return True
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            yield decode(line)
    return False


def kept_at(card: str | None) -> Path:
    """Where this user's last certificate of a card is kept, or that of the processor."""
    return cache_folder() / f"certificate-{card or 'cpu'}.json"


def keep(certificate: Certificate) -> None:
    """Keep it for `gpuperf doctor`, which says how old it is."""
    path = kept_at(certificate.card)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(path, msgspec.json.format(msgspec.json.encode(certificate), indent=1).decode() + "\n")


def kept(card: str | None) -> Certificate | None:
    """The last certificate of a card, if there is one that this version can read."""
    try:
        return msgspec.json.decode(kept_at(card).read_bytes(), type=Certificate)
    except (OSError, msgspec.DecodeError):
        return None
