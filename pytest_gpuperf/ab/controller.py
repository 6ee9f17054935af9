"""`gpuperf ab`: two revisions in turns, launch after launch, until no case is open or no more may follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from pytest_gpuperf.ab import imports
from pytest_gpuperf.ab.checkout import Name, Preparation, Side, SuiteFiles, prepare
from pytest_gpuperf.ab.git import Repository
from pytest_gpuperf.ab.launches import Launches
from pytest_gpuperf.ab.results import SIDES, Results, judged
from pytest_gpuperf.ab.workplace import workplace
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.gate.side_by_side import FULL, LOOKS
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Rule

HEAD = "HEAD"
LIMIT = 600.0  # seconds
Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """What is compared, and how."""

    base: str
    head: str = HEAD
    preparation: Preparation = field(default_factory=Preparation)
    invocation: Invocation = field(default_factory=Invocation)  # how pytest is started, to look at the same again
    folder: Path = field(default_factory=Path.cwd)
    allow_same: bool = False
    apart: bool = False  # one side after the other, where both do not fit into the device's memory
    budget: float | None = None  # seconds in all; only in these, cases still open after the usual launches get more
    limit: float = LIMIT  # seconds a process may say nothing
    rules: Rules = field(default_factory=Rules)
    override: Rule = field(default_factory=Rule)  # the command line's, above what each test carries
    progress: Progress = _silent

    @property
    def options(self) -> tuple[str, ...]:
        """What is typed after `gpuperf ab BASE` to look at the same again."""
        how = self.preparation
        return (
            *(() if self.head == HEAD else (self.head,)),
            *(() if how.tests == "head" else ("--tests", how.tests)),
            *(() if how.setup is None else ("--setup", how.setup)),
            *chain.from_iterable(("--source", folder) for folder in how.sources),
            *chain.from_iterable(("--also", path) for path in how.also),
            *(("--allow-same",) if self.allow_same else ()),
            *(("--apart",) if self.apart else ()),
            *(() if self.budget is None else ("--budget", f"{self.budget:g}")),
            *(() if self.limit == LIMIT else ("--limit", f"{self.limit:g}")),
        )


def compare_revisions(task: Comparing) -> JudgedRun:
    """Check both revisions out, measure them in turns, and judge them; nothing is left behind."""
    repository = Repository.around(task.folder)
    with workplace(repository.root) as place:
        base, head, suite = prepare(repository, task.base, task.head, task.folder, place, task.preparation)
        return _Comparison(task, place, {"base": base, "head": head}, suite).run()


class _Comparison:
    """One comparison, while it goes on."""

    def __init__(self, task: Comparing, place: Path, sides: Mapping[Name, Side], suite: SuiteFiles) -> None:
        self.task = task
        self.sides = sides
        self.suite = suite
        self.started = time.monotonic()
        self.results = Results(override=task.override, extended=task.budget is not None)
        arguments = dict.fromkeys(SIDES, task.preparation.arguments)
        self.launches = Launches(sides, place, arguments, self.results, limit=task.limit, apart=task.apart)
        self.imported: tuple[str, ...] = ()

    def run(self) -> JudgedRun:
        """Launch until no test is open, or no more launches may be made; then judge."""
        for number in range(1, LOOKS[-1] + 1):
            # None: all tests. Before the first launch nobody knows which there are.
            todo = self.results.open() if self.results.collected else None
            if (todo is not None and not todo) or not self._may_launch(number):
                break
            self._say(number, todo)
            self.launches.launch(number, todo)
            if number == 1:
                self._verify()
        labels: dict[Name, str] = {name: side.revision.label for name, side in self.sides.items()}
        return judged(
            self.results,
            labels,
            self.task.rules,
            self.imported,
            seconds=time.monotonic() - self.started,
            options=self.task.options,
            invocation=self.task.invocation,
        )

    def _verify(self) -> None:
        if self.results.tests:  # those of both sides, which are refused if they measured the same code
            files, allow_same = self.launches.files, self.task.allow_same
            shared_tests = self.suite if self.task.preparation.tests == "head" else ()
            self.imported = imports.verified(self.sides, files, shared_tests, allow_same=allow_same)
            for sentence in self.imported:
                self.task.progress(sentence)

    def _may_launch(self, number: int) -> bool:
        """Whether another launch may be made: the usual ones always, further ones while the budget has time for one."""
        if number <= FULL or self.task.budget is None:
            return number <= FULL
        spent = time.monotonic() - self.started
        return spent * number / (number - 1) <= self.task.budget

    def _say(self, number: int, todo: Sequence[str] | None) -> None:
        what = "all tests" if todo is None else "1 test" if len(todo) == 1 else f"{len(todo)} tests"
        self.task.progress(f"launch {number}: {what} ({time.monotonic() - self.started:.0f} s so far)")
