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
    """Gathers launches for `gpuperf ab` and for the confirmation of suspects; who asked judges them."""

    def __init__(
        self,
        sides: Mapping[Name, Side],
        place: Path,
        arguments: Mapping[Name, Sequence[str]],  # pytest's, of each side
        gathered: Results,
        *,
        limit: float,  # seconds a process may say nothing
        apart: bool = False,
    ) -> None:
        self.sides = sides
        self.place = place
        self.arguments = arguments
        self.gathered = gathered
        self.limit = limit
        self.apart = apart
        self.files: dict[Name, dict[str, str]] = {"base": {}, "head": {}}  # what each side has imported
        self.starting = 0.0  # seconds that both processes took to collect their tests, the last time

    def launch(self, number: int, todo: list[str] | None) -> None:
        """One launch of every open test. A test at which a process was lost is out; the others start anew."""
        flip = number % 2 == 0
        if todo is None and self.apart:
            todo = self._learn_apart("asked for: --apart")
        together = None if todo is None else [t for t in todo if t not in self.gathered.apart]
        while together is None or together:
            heard = self._together(together, flip=flip)
            self.gathered.add(heard, alone=False)
            left = self._unreached(self.gathered.tests if together is None else together, heard)
            together = [t for t in left if t not in self.gathered.apart]
        apart = [t for t in (self.gathered.tests if todo is None else todo) if t in self.gathered.apart]
        while apart:
            heard = Received()
            for name in SIDES[::-1] if flip else SIDES:
                self._alone(name, apart, heard)
            self.gathered.add(heard, alone=True)
            apart = self._unreached(apart, heard)
        self.gathered.launches = number

    def _unreached(self, tests: Sequence[str], heard: Received) -> list[str]:
        """What a launch did not come to, since a process was lost."""
        done = heard.ended["base"].keys() & heard.ended["head"].keys()
        return [t for t in tests if t not in done and t not in self.gathered.out] if heard.lost else []

    def _together(self, todo: list[str] | None, *, flip: bool) -> Received:
        """A pair of processes through these tests; all there are, where none are named yet."""
        started = time.monotonic()
        with ExitStack() as ending:
            parties = [self._start(name, ending) for name in SIDES]
            launch = LaunchInTurns(parties, self.limit, flip=flip, known=self.gathered.orders)
            alone = any(side.one_process for side in self._present(launch).values())
            self.starting = time.monotonic() - started
            if not alone:
                heard = launch.run(self.gathered.tests if todo is None else todo)
                self._note_files(heard)
                return heard
        self._learn_apart("the card serves one process at a time")
        return Received()

    def _alone(self, name: Name, tests: Sequence[str], into: Received) -> None:
        """One side's process through these tests, while the other does not exist."""
        left = [t for t in tests if t not in into.lost]
        with ExitStack() as ending:
            launch = LaunchInTurns([self._start(name, ending)], self.limit, flip=False, known=self.gathered.orders)
            self._present(launch)
            heard = launch.run(left)
        self._note_files(heard)
        into.cases[name] |= heard.cases[name]
        into.ended[name] |= heard.ended[name]
        into.orders[name] |= heard.orders[name]
        into.lost |= heard.lost

    def _learn_apart(self, why: str) -> list[str]:
        """Ask each side for its tests by itself: none of them runs beside the other."""
        for name in SIDES:
            with ExitStack() as ending:
                launch = LaunchInTurns([self._start(name, ending)], self.limit, flip=False, known={})
                self._present(launch)
                self._note_files(launch.run(()))
        self.gathered.apart |= dict.fromkeys(self.gathered.tests, why)
        return self.gathered.tests

    def _start(self, name: Name, ending: ExitStack) -> WorkerProcess:
        # Both sides of a launch hash alike, and those of the next otherwise: luck with it is not the code's.
        seed = self.gathered.launches + 1
        party = WorkerProcess(self.sides[name], self.arguments[name], self.place, seed)
        ending.callback(party.end)
        return party

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
        self.gathered.present(collected)
        imports.early(self.sides, {name: side.files for name, side in collected.items()})
        return collected

    def _unstarted(self, lost: WorkerLost) -> Exception:
        label, output = lost.party.side.revision.label, lost.party.output()
        code = lost.party.process.poll()
        what = f"pytest on {label} {lost.why} before it had collected its tests. Its last lines:\n{output}"
        if code == _WRONG_USAGE:
            return UsageError(what)
        return SessionError(what)

    def _note_files(self, heard: Received) -> None:
        for name in SIDES:
            self.files[name] |= heard.files[name]
