"""Launches, one after the other: a fresh process on each side, through the tests that are still open."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from pytest_gpuperf.ab import imports
from pytest_gpuperf.ab.checkout import Name, Side
from pytest_gpuperf.ab.protocol import Collected
from pytest_gpuperf.ab.results import SIDES, Results
from pytest_gpuperf.ab.turns import LaunchInTurns, Received
from pytest_gpuperf.ab.worker_process import WorkerLost, WorkerProcess
from pytest_gpuperf.errors import SessionError, UsageError

_INSTALLED = Path(__file__).resolve().parents[1]  # the plugin that measures both sides
_WRONG_USAGE = 4  # pytest's exit code


class Launches:
    """Runs launches for `gpuperf ab` and for the confirmation of suspects; the caller judges what they bring."""

    def __init__(
        self,
        sides: Mapping[Name, Side],
        place: Path,
        arguments: Mapping[Name, Sequence[str]],  # pytest's, of each side
        results: Results,
        *,
        limit: float,  # seconds a process may say nothing
        apart: bool = False,
    ) -> None:
        self.sides = sides
        self.place = place
        self.arguments = arguments
        self.results = results
        self.limit = limit
        self.apart = apart
        self.files: dict[Name, dict[str, str]] = {"base": {}, "head": {}}  # what each side has imported
        self.starting = 0.0  # seconds that both processes took to collect their tests, the last time

    def launch(self, number: int, todo: list[str] | None) -> None:
        """One launch of every open test. A test at which a process was lost is out; the others start anew."""
        flip = number % 2 == 0
        if todo is None and self.apart:
            todo = self._learn_apart("asked for: --apart")
        together = None if todo is None else [t for t in todo if t not in self.results.apart]
        while together is None or together:
            received = self._together(together, flip=flip)
            self.results.add(received, alone=False)
            left = self._unreached(self.results.tests if together is None else together, received)
            together = [t for t in left if t not in self.results.apart]
        apart = [t for t in (self.results.tests if todo is None else todo) if t in self.results.apart]
        while apart:
            received = Received()
            for name in SIDES[::-1] if flip else SIDES:
                self._alone(name, apart, received)
            self.results.add(received, alone=True)
            apart = self._unreached(apart, received)
        self.results.launches = number

    def _unreached(self, tests: Sequence[str], received: Received) -> list[str]:
        """What a launch did not come to, since a process was lost."""
        done = received.ended["base"].keys() & received.ended["head"].keys()
        return [t for t in tests if t not in done and t not in self.results.out] if received.lost else []

    def _together(self, todo: list[str] | None, *, flip: bool) -> Received:
        """A pair of processes through these tests; all there are, where none are named yet."""
        started = time.monotonic()
        with ExitStack() as ending:
            workers = [self._start(name, ending) for name in SIDES]
            launch = LaunchInTurns(workers, self.limit, flip=flip, known=self.results.orders)
            alone = any(side.one_process for side in self._present(launch).values())
            self.starting = time.monotonic() - started
            if not alone:
                received = launch.run(self.results.tests if todo is None else todo)
                self._note_files(received)
                return received
        self._learn_apart("the card serves one process at a time")
        return Received()

    def _alone(self, name: Name, tests: Sequence[str], into: Received) -> None:
        """One side's process through these tests, while the other does not exist."""
        left = [t for t in tests if t not in into.lost]
        with ExitStack() as ending:
            launch = LaunchInTurns([self._start(name, ending)], self.limit, flip=False, known=self.results.orders)
            self._present(launch)
            received = launch.run(left)
        self._note_files(received)
        into.cases[name] |= received.cases[name]
        into.ended[name] |= received.ended[name]
        into.orders[name] |= received.orders[name]
        into.lost |= received.lost

    def _learn_apart(self, why: str) -> list[str]:
        """Ask each side for its tests by itself: none of them runs beside the other."""
        for name in SIDES:
            with ExitStack() as ending:
                launch = LaunchInTurns([self._start(name, ending)], self.limit, flip=False, known={})
                self._present(launch)
                self._note_files(launch.run(()))
        self.results.apart |= dict.fromkeys(self.results.tests, why)
        return self.results.tests

    def _start(self, name: Name, ending: ExitStack) -> WorkerProcess:
        # Both sides of a launch hash alike, and those of the next otherwise: luck with it is not the code's.
        seed = self.results.launches + 1
        worker = WorkerProcess(self.sides[name], self.arguments[name], self.place, seed)
        ending.callback(worker.end)
        return worker

    def _present(self, launch: LaunchInTurns) -> Mapping[Name, Collected]:
        """Wait until all have collected; what is wrong by then is refused before anything is measured."""
        try:
            collected = launch.collected()
        except WorkerLost as lost:
            raise self._unstarted(lost) from None
        for name, side in collected.items():
            if Path(side.plugin) != _INSTALLED:
                raise UsageError(
                    f"{self.sides[name].revision.label} measures with another pytest-gpuperf, {side.plugin}: both "
                    f"sides must be measured by the one that is installed here. Do not install it in --setup; it is "
                    f"lent."
                )
        self.results.present(collected)
        imports.early(self.sides, {name: side.files for name, side in collected.items()})
        return collected

    def _unstarted(self, lost: WorkerLost) -> Exception:
        label, output = lost.worker.side.revision.label, lost.worker.output()
        code = lost.worker.process.poll()
        what = f"pytest on {label} {lost.why} before it had collected its tests. Its last lines:\n{output}"
        if code == _WRONG_USAGE:
            return UsageError(what)
        return SessionError(what)

    def _note_files(self, received: Received) -> None:
        for name in SIDES:
            self.files[name] |= received.files[name]
