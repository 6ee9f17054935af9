"""Two revisions measured in turns, launch after launch, until every case is decided or has had its launches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pytest_gpuperf.analysis.findings import Rules
from pytest_gpuperf.analysis.paired import FULL
from pytest_gpuperf.errors import SessionError, UsageError
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.results.records import Rule
from pytest_gpuperf.revisions import imports
from pytest_gpuperf.revisions.gathered import LOOKS, SIDES, Gathered
from pytest_gpuperf.revisions.git import Repository
from pytest_gpuperf.revisions.messages import Collected
from pytest_gpuperf.revisions.party import Lost, Party
from pytest_gpuperf.revisions.side import Name, Preparation, Side, prepare
from pytest_gpuperf.revisions.suite_files import SuiteFiles
from pytest_gpuperf.revisions.turns import Heard, Launch
from pytest_gpuperf.revisions.verdicts import judged
from pytest_gpuperf.revisions.workplace import workplace

Progress = Callable[[str], None]
_INSTALLED = Path(__file__).resolve().parents[1]  # the plugin that measures both sides
_WRONG_USAGE = 4  # pytest's exit code


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """What is compared, and how."""

    base: str
    head: str = "HEAD"
    preparation: Preparation = field(default_factory=Preparation)
    folder: Path = field(default_factory=Path.cwd)
    allow_same: bool = False
    apart: bool = False  # one side after the other: both do not fit into the device's memory
    budget: float | None = None  # seconds in which cases that are open after the usual launches get more
    limit: float = 600.0  # seconds a process may say nothing
    rules: Rules = field(default_factory=Rules)
    override: Rule = field(default_factory=Rule)
    progress: Progress = _silent


def compare_revisions(asked: Comparing) -> Judged:
    """Check out, measure in turns, judge; nothing is left behind."""
    repository = Repository.around(asked.folder)
    with workplace(repository.root) as place:
        base, head, suite = prepare(repository, asked.base, asked.head, asked.folder, place, asked.preparation)
        return _Comparison(asked, place, {"base": base, "head": head}, suite).run()


class _Comparison:
    """One comparison under way."""

    def __init__(self, asked: Comparing, place: Path, sides: Mapping[Name, Side], suite: SuiteFiles) -> None:
        self.asked = asked
        self.place = place
        self.sides = sides
        self.suite = suite
        self.started = time.monotonic()
        self.gathered = Gathered(override=asked.override, extended=asked.budget is not None)
        self.files: dict[Name, dict[str, str]] = {"base": {}, "head": {}}
        self.imported: tuple[str, ...] = ()

    def run(self) -> Judged:
        """Launch until nothing is open."""
        for number in range(1, LOOKS[-1] + 1):
            todo = self.gathered.open() if self.gathered.collected else None
            if (todo is not None and not todo) or not self._may_launch(number):
                break
            self._say(number, todo)
            self._launch(number, todo)
            self.gathered.launches = number
            if number == 1:
                self._verify()
        labels: dict[Name, str] = {name: side.revision.label for name, side in self.sides.items()}
        return judged(self.gathered, labels, self.asked.rules, self.imported, seconds=time.monotonic() - self.started)

    def _launch(self, number: int, todo: list[str] | None) -> None:
        """One launch of every open test. A test at which a process was lost is out; the others start anew."""
        flip = number % 2 == 0
        if todo is None and self.asked.apart:
            todo = self._learn_apart("asked for: --apart")
        together = None if todo is None else [t for t in todo if t not in self.gathered.apart]
        while together is None or together:
            heard = self._together(together, flip=flip)
            self.gathered.add(heard, alone=False)
            left = self._unreached(self.gathered.tests if together is None else together, heard)
            together = [t for t in left if t not in self.gathered.apart]
        apart = [t for t in (self.gathered.tests if todo is None else todo) if t in self.gathered.apart]
        while apart:
            heard = Heard()
            for name in SIDES[::-1] if flip else SIDES:
                self._alone(name, apart, heard)
            self.gathered.add(heard, alone=True)
            apart = self._unreached(apart, heard)

    def _unreached(self, tests: Sequence[str], heard: Heard) -> list[str]:
        """What a launch did not come to, since a process was lost."""
        done = heard.ended["base"].keys() & heard.ended["head"].keys()
        return [t for t in tests if t not in done and t not in self.gathered.out] if heard.lost else []

    def _together(self, todo: list[str] | None, *, flip: bool) -> Heard:
        """A pair of processes through these tests; all there are, where none are named yet."""
        with ExitStack() as ending:
            parties = [self._start(name, ending) for name in SIDES]
            launch = Launch(parties, self.asked.limit, flip=flip, known=self.gathered.orders)
            alone = any(side.one_process for side in self._present(launch).values())
            if not alone:
                heard = launch.run(self.gathered.tests if todo is None else todo)
                self._note_files(heard)
                return heard
        self._learn_apart("the card serves one process at a time")
        return Heard()

    def _alone(self, name: Name, tests: Sequence[str], into: Heard) -> None:
        """One side's process through these tests, while the other does not exist."""
        left = [t for t in tests if t not in into.lost]
        with ExitStack() as ending:
            launch = Launch([self._start(name, ending)], self.asked.limit, flip=False, known=self.gathered.orders)
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
                launch = Launch([self._start(name, ending)], self.asked.limit, flip=False, known={})
                self._present(launch)
                self._note_files(launch.run(()))
        self.gathered.apart |= dict.fromkeys(self.gathered.tests, why)
        return self.gathered.tests

    def _start(self, name: Name, ending: ExitStack) -> Party:
        # Both sides of a launch hash alike, and those of the next otherwise: luck with it is not the code's.
        seed = self.gathered.launches + 1
        party = Party(self.sides[name], self.asked.preparation.arguments, self.place, seed)
        ending.callback(party.end)
        return party

    def _present(self, launch: Launch) -> Mapping[Name, Collected]:
        """Wait until all have collected; what is wrong by then is refused before anything is measured."""
        try:
            collected = launch.collected()
        except Lost as lost:
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

    def _unstarted(self, lost: Lost) -> Exception:
        label, output = lost.party.side.revision.label, lost.party.output()
        code = lost.party.process.poll()
        what = f"pytest on {label} {lost.why} before it had collected its tests. Its last lines:\n{output}"
        if code == _WRONG_USAGE:
            return UsageError(what)
        return SessionError(what)

    def _note_files(self, heard: Heard) -> None:
        for name in SIDES:
            self.files[name] |= heard.files[name]

    def _verify(self) -> None:
        if self.gathered.tests:
            self.imported = imports.verified(self.sides, self.files, self.suite, allow_same=self.asked.allow_same)
            for sentence in self.imported:
                self.asked.progress(sentence)

    def _may_launch(self, number: int) -> bool:
        """The usual launches are always made; further ones while there is time for another."""
        if number <= FULL or self.asked.budget is None:
            return number <= FULL
        spent = time.monotonic() - self.started
        return spent * number / (number - 1) <= self.asked.budget

    def _say(self, number: int, todo: Sequence[str] | None) -> None:
        what = "all tests" if todo is None else "1 test" if len(todo) == 1 else f"{len(todo)} tests"
        self.asked.progress(f"launch {number}: {what} ({time.monotonic() - self.started:.0f} s so far)")
