"""Measuring the cases of a study of vision transformers: fresh process after fresh process, until the budget ends.

What is done is a file of its own, and what failed is a line with its reason, so that the next invocation goes on where
this one was ended, however that was.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from pytest_gpuperf.comparison.vit_order import SESSIONS, Stage, choose
from pytest_gpuperf.comparison.vit_pace import Pace
from pytest_gpuperf.comparison.vit_summary import common_environment, failures, refuse_another, scale_of
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import FileError, SessionError
from pytest_gpuperf.records.files import NO_LOCKS
from pytest_gpuperf.records.model import Device, Environment, Run
from pytest_gpuperf.records.units import format_bytes
from pytest_gpuperf.records.vit_space import DESIGNS, SUITE, VitCase
from pytest_gpuperf.records.vit_study import ATTEMPTS, RAW, Attempt, Scale
from pytest_gpuperf.records.vit_study_files import attempts_of, keep_attempt, keep_session, raw_runs
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.sessions.process import run_session
from pytest_gpuperf.studies.places import place_of

_MODULE = SUITE.removesuffix(".py").replace("/", ".")
_FILLED = 0.9  # of a device's memory: libraries and what is cached take the rest
_FLOAT = 4  # bytes: a model is made in float32 on the processor, and copied before it is brought to the device
_PATIENCE, _LEAST_PATIENCE = 10.0, 300.0  # times what a session is expected to take, and seconds
_REASON = re.compile(r"^(?:E +|SKIPPED \[\d+\] \S+ |\S+\.py:\d+: )(?P<why>.+)$", re.MULTILINE)
Measure = Callable[[VitCase, int, float], Run]  # a case, which session of it, and seconds after which to give up


@dataclass(frozen=True)
class Measured:
    """What became of one session."""

    case: VitCase
    number: int
    call: float | None  # seconds; None where it failed
    failed: str | None
    sessions_left: int
    seconds_left: float


@dataclass
class VitRun:
    """A study's folder, while sessions are added to it."""

    folder: Path
    stages: Sequence[Stage]
    environment: Environment
    measure: Measure
    progress: Callable[[Measured], None]
    retry: bool = False  # cases that failed before
    sessions: dict[VitCase, set[int]] = field(default_factory=dict[VitCase, set[int]])  # numbers that are there
    calls: dict[VitCase, float] = field(default_factory=dict[VitCase, float])  # seconds
    taken: list[tuple[VitCase, float]] = field(default_factory=list[tuple[VitCase, float]])
    failed: dict[str, str] = field(default_factory=dict[str, str])  # test -> why

    def __post_init__(self) -> None:
        """What earlier invocations left."""
        by_parameters = {case.parameters: case for stage in self.stages for case in stage}
        by_test = {case.test: case for case in by_parameters.values()}
        for raw in raw_runs(self.folder):
            case = by_parameters.get(raw.parameters)
            if case is not None:  # else it is of another question
                self._know(case, raw.number, raw.run)
        attempts = attempts_of(self.folder)
        self.taken += [
            (by_test[a.test], a.seconds)
            for a in attempts
            if a.test in by_test and a.seconds is not None and a.failed is None
        ]
        if not self.retry:
            self.failed = failures(attempts)
            self._leave_out_what_cannot_run()

    def go_on(self, budget: float) -> None:
        """Measure as long as another session fits the budget."""
        started = monotonic()
        while True:
            left = budget - (monotonic() - started)
            chosen = choose(self._open_stages(), self._counts(), self.pace().seconds, left)
            if chosen is None:
                return
            self._session(chosen.case, chosen.seconds, (chosen.sessions_left, chosen.seconds_left))

    @property
    def left(self) -> int:
        """Sessions that are still to be measured."""
        counts = self._counts()
        return sum(max(0, SESSIONS - counts.get(case, 0)) for stage in self._open_stages() for case in stage)

    def _session(self, case: VitCase, expected: float, planned: tuple[int, float]) -> None:
        numbers = self.sessions.get(case, set())
        number = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
        began, call, why = monotonic(), None, None
        try:
            run = self.measure(case, number, max(_LEAST_PATIENCE, _PATIENCE * expected))
        except SessionError as error:
            why = reason_of(error)
            self.failed[case.test] = why
        else:
            refuse_another(self.environment, run.environment, "this device", f"session {number} of {case.parameters}")
            keep_session(self.folder, case, number, run)
            self._know(case, number, run)
            call = self.calls[case]
        took = monotonic() - began
        keep_attempt(self.folder, Attempt(test=case.test, session=number, seconds=took, failed=why))
        if why is None:
            self.taken.append((case, took))
        sessions, seconds = planned
        self.progress(Measured(case, number, call, why, sessions - 1, max(0.0, seconds - took)))

    def _know(self, case: VitCase, number: int, run: Run) -> None:
        self.sessions.setdefault(case, set()).add(number)
        self.calls[case] = run.cases[0].measurements[-1].device_time.median

    def _open_stages(self) -> list[Stage]:
        return [tuple(case for case in stage if case.test not in self.failed) for stage in self.stages]

    def _counts(self) -> dict[VitCase, int]:
        return {case: len(numbers) for case, numbers in self.sessions.items()}

    def pace(self) -> Pace:
        return Pace(self.environment.device.kind, self.calls, self.taken)

    def _leave_out_what_cannot_run(self) -> None:
        for case in (case for stage in self.stages for case in stage):
            why = why_not(case, self.environment.device)
            if why is not None and case.test not in self.failed:
                self.failed[case.test] = why
                keep_attempt(self.folder, Attempt(test=case.test, session=1, failed=why))


def why_not(case: VitCase, device: Device) -> str | None:
    """Why a case cannot run on a kind of device, so far as that is known without trying; None where it may."""
    if device.kind == "cpu" and case.way in DESIGNS and DESIGNS[case.way].preprocess == "gpu":
        return "preprocessing on the GPU needs one"
    needed = case.memory + (2 * _FLOAT * case.vit.parameters if device.kind == "cpu" else 0)
    if device.memory is None or needed <= _FILLED * device.memory:
        return None
    has = f"the device has {format_bytes(device.memory)}, and a tenth of it is left to libraries"
    return f"needs about {format_bytes(needed)} of memory; {has}"


def refuse_other_studies(folder: Path, scale: Scale, environment: Environment) -> None:
    """Refuse a folder that holds figures of another scale, device or software."""
    raw = raw_runs(folder)
    there = scale_of(raw, attempts_of(folder))
    if there not in {None, scale}:
        raise FileError(
            f"{folder}: holds a study of the {there} scale, and this is the {scale} one. Give it its own: --into DIR"
        )
    if raw:
        refuse_another(common_environment(raw), environment, f"the study in {folder}", "this device")


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Hold a study's folder, which is made where there is none; two processes at once are refused."""
    try:
        (folder / RAW).mkdir(parents=True, exist_ok=True)
        file = (folder / ATTEMPTS).open("ab")
    except OSError as error:
        raise FileError(f"{folder}: cannot be written: {error.strerror}. Give another folder: --into DIR") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(
                f"{folder}: another process is at work on this study. Let it end, or give another folder: --into DIR"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def fresh_process(device: str, scale: Scale) -> Measure:
    """Measure with the shipped suite, in a process that knows nothing of where this one was started."""

    def measure(case: VitCase, number: int, timeout: float) -> Run:
        arguments = [
            *("--pyargs", f"{_MODULE}::{case.function}[{case.parameters}]"),
            *("-q", "-rs", "--tb=line", "-p", "no:cacheprovider", "--noconftest"),
            *("--gpuperf-device", device, "--gpuperf-scale", scale),
        ]
        place = place_of(case.way, device)
        if isinstance(place, Missing):
            raise SessionError(place.reason)
        with scratch_folder("study") as folder:  # neither a project's settings nor its revision are the study's
            return run_session(arguments, profiles=number == 1, directory=folder, timeout=timeout, place=place)

    return measure


def reason_of(error: SessionError) -> str:
    """Why a session gave nothing, in a line: what its test raised or was skipped for, else how its process ended."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = [m["why"] for line in lines if (m := _REASON.match(line))]
    return (found[0] if found else lines[0])[:1000]
