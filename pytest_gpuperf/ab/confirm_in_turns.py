"""Suspects measured in turns with the revision that their baseline was recorded at, each side on its own whole tree."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_gpuperf.ab import imports
from pytest_gpuperf.ab.checkout import Name, Preparation, Side, prepare
from pytest_gpuperf.ab.git import Repository, Revision
from pytest_gpuperf.ab.imports import loaded_files, source_folders
from pytest_gpuperf.ab.launches import Launches
from pytest_gpuperf.ab.results import SIDES, Pair, Results
from pytest_gpuperf.ab.workplace import VARIABLE, workplace
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.gate.side_by_side import FEWEST, FULL, LOOKS
from pytest_gpuperf.records.codec import kind_of
from pytest_gpuperf.records.model import LaunchFigures, Rule

_LARGEST = 2**26  # bytes of a file that is looked into, whether it is one of ours


@dataclass(frozen=True, kw_only=True)
class Confirming:
    """What is measured in turns with which revision, and how."""

    revision: str  # the commit
    cases: Mapping[str, str]  # that are wanted, and their tests
    spreads: Mapping[str, float]  # by how much the baseline's sessions of each differ
    folder: Path  # where pytest was started
    rootdir: Path  # pytest's: node ids are relative to it
    arguments: Callable[[Sequence[str], str], Sequence[str]]  # of pytest, from test files and a scratch folder
    own: Collection[Path] = ()  # what this session reads and writes itself: no code
    setup: str | None = None
    budget: float
    limit: float  # seconds a process may say nothing
    progress: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class InTurns:
    """What came of it."""

    same: bool = False  # no code differs from it, so that turns can tell nothing
    launches: Mapping[str, tuple[LaunchFigures, ...]] = field(
        default_factory=dict[str, tuple[LaunchFigures, ...]]
    )  # by case
    missing: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> why it has no launches
    count: int = 0  # launches made
    remarks: tuple[str, ...] = ()


def confirm_in_turns(task: Confirming) -> InTurns:
    """Measure the wanted cases in turns, unless no code differs; nothing is left behind.

    What makes it impossible for all of them is a `UsageError` or a `SessionError`.
    """
    try:
        repository = Repository.around(task.rootdir)
    except UsageError:
        raise UsageError("the tests are in no git repository") from None
    with workplace(repository.root) as place:
        fetched = None
        if not repository.has(task.revision):
            fetched = repository.fetched(task.revision, place / "fetched", {VARIABLE: str(place)})
        objects = fetched and fetched.git_dir / "objects"
        changed = repository.changed_since(task.revision, place, objects)
        sources = (*source_folders(repository.root), *_usual_sources(repository.root, task.rootdir))
        if not _changed_code(repository.root, changed, sources, task.own):
            return InTurns(same=True)
        inside = task.folder.resolve().is_relative_to(repository.root)
        base, head, _ = prepare(
            repository,
            task.revision,
            "HEAD",
            task.folder if inside else task.rootdir,
            place,
            Preparation(setup=task.setup, tests="each"),
            fetched,
        )
        sides: dict[Name, Side] = {"base": _with_sources(base, sources), "head": _with_sources(head, sources)}
        return _Confirmation(task, place, sides).run()


def _usual_sources(*folders: Path) -> list[str]:
    """Where a package that is installed has its sources: `src` or the top, of pytest's folder and of the repository."""
    root, *_ = folders
    every = (folder.resolve() / name for folder in reversed(folders) for name in ("src", "."))
    return [os.path.relpath(folder, root) for folder in every if folder.is_dir()]


def _with_sources(side: Side, sources: Iterable[str]) -> Side:
    return replace(side, sources=tuple(dict.fromkeys(s for s in (*sources, *side.sources) if (side.tree / s).is_dir())))


def _changed_code(root: Path, changed: Iterable[str], sources: tuple[str, ...], own: Collection[Path]) -> list[str]:
    """The changed files that this session has used, or may have."""
    here = Side("head", Revision("HEAD", ""), root, ".", sources, root)
    loaded = {Path(file) for file in dict(loaded_files(root, here.importable)).values()}
    # What is installed was once made of these sources; of which of them, nobody knows.
    installed = any(not file.is_relative_to(root) for file in loaded)

    def matters(name: str) -> bool:
        path = root / name
        if path.resolve() in loaded:
            return True
        if imports.is_python(name):
            return installed or not path.exists()  # what is gone may have been used before
        return not (imports.is_document(name) or path.resolve() in own or _is_ours(path))

    return [name for name in changed if matters(name)]


def _is_ours(path: Path) -> bool:
    """Whether it is a run or a baseline."""
    if path.suffix != ".json" or not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    return kind_of(path.read_bytes()) is not None


class _Confirmation:
    """One revision's confirmation under way."""

    def __init__(self, task: Confirming, place: Path, sides: Mapping[Name, Side]) -> None:
        self.task = task
        self.sides = sides
        self.started = time.monotonic()
        self.rootdir = task.rootdir.resolve()
        self.absent: dict[str, str] = {}  # test -> why it cannot be run
        self.results = Results(override=Rule(), extended=True, spreads=task.spreads, only=task.cases)
        arguments: dict[Name, list[str]] = {name: self._arguments(sides[name], place) for name in SIDES}
        self.launches = Launches(sides, place, arguments, self.results, limit=task.limit)
        self.each = 0.0  # seconds that one test took in the last launch, its processes' start left out
        self.left_open = 0
        self.same = False  # both sides used the same files, and none of those that differ

    def run(self) -> InTurns:
        """Launch what is open, as far as the budget goes."""
        done = 0
        if len(self.absent) < len(set(self.task.cases.values())):
            for number in range(1, LOOKS[-1] + 1):
                todo = self._todo(number)
                if todo is not None and not todo:
                    break
                self._launch(number, todo)
                done = number
                if self.same:
                    return InTurns(same=True, count=done)
        return InTurns(
            launches=self._launches(),
            missing=self._missing(),
            count=done,
            remarks=tuple(self._remarks()),
        )

    def _arguments(self, side: Side, place: Path) -> list[str]:
        """Of a side's pytest: the files that it has, by their paths in the user's folder, which lead to its own."""
        wanted = dict.fromkeys(test.split("::", 1)[0] for test in self.task.cases.values())
        files: list[str] = []
        for file in wanted:
            path = Path(os.path.normpath(self.rootdir / file))
            why = None
            if not path.is_relative_to(side.repository):
                why = f"{file} lies outside the repository"
            elif not (side.tree / path.relative_to(side.repository)).exists():
                why = f"git ignores {file}" if side.name == "head" else f"{side.revision.label} does not have {file}"
            if why is None:
                files.append(str(path))
            else:
                tests = [test for test in self.task.cases.values() if test.split("::", 1)[0] == file]
                self.absent |= dict.fromkeys(tests, why)
        scratch = place / f"scratch-{side.name}"
        scratch.mkdir()
        arguments = self.task.arguments(files, str(scratch))
        return [argument.replace(str(self.task.rootdir), str(self.rootdir)) for argument in arguments]

    def _todo(self, number: int) -> list[str] | None:
        """The tests of the next launch: those that are open, or the gravest of them that the budget has time for.

        Two launches are always made. The gravest test always gets as many as a conviction needs: one is enough to fail.
        """
        if number == 1:
            return None
        todo = self.results.open()
        if number <= FEWEST or not todo:
            return todo
        left = self.task.budget - (time.monotonic() - self.started) - self.launches.starting
        affordable = max(int(left / self.each), 1 if number <= FULL else 0)
        if affordable >= len(todo):
            return todo
        self.left_open = len(todo) - affordable
        pairs = self.results.judged()
        grave: dict[str, tuple[int, float]] = {}
        for case, verdict in self.results.verdicts().items():
            test = self.task.cases[case]
            # Who has been launched more often stays: of two that are equally slow neither would get enough.
            grave[test] = max((len(pairs[case].head), verdict.ratio), grave.get(test, (0, 0.0)))
        return sorted(todo, key=lambda test: grave.get(test, (0, 0.0)), reverse=True)[:affordable]

    def _launch(self, number: int, todo: list[str] | None) -> None:
        count = len(set(self.task.cases.values())) if todo is None else len(todo)
        what = "1 test" if count == 1 else f"{count} tests"
        spent = time.monotonic() - self.started
        self.task.progress(f"{what} in turns with {self._label('base')}, launch {number} ({spent:.0f} s so far)")
        started = time.monotonic()
        self.launches.launch(number, todo)
        self.each = max(time.monotonic() - started - self.launches.starting, 1e-3) / count
        if number == 1 and self.results.tests:
            imports.early(self.sides, self.launches.files)
            self.same = not imports.differ(self.sides, self.launches.files)

    def _label(self, name: Name) -> str:
        return self.sides[name].revision.label

    def _launches(self) -> dict[str, tuple[LaunchFigures, ...]]:
        pairs = self.results.judged()
        return {case: tuple(pair.launches) for case, pair in pairs.items() if len(pair.head) >= FEWEST and _alike(pair)}

    def _missing(self) -> dict[str, str]:
        there = self._launches()
        return {case: self._why(case, test) for case, test in self.task.cases.items() if case not in there}

    def _why(self, case: str, test: str) -> str:
        """Why a case has no launches."""
        absent = self.absent.get(test) or self._absence(test)
        if absent:
            return absent
        base = self._label("base")
        if case in self.results.single():
            return f"{base} does not have this measurement"
        pair = self.results.judged().get(case, Pair())
        if pair.head and not _alike(pair):
            return f"{base} measures other items, or by another clock"
        return f"fewer than {FEWEST} launches measured it on both sides"

    def _absence(self, test: str) -> str | None:
        if test in self.results.out:
            out = self.results.out[test]
            return f"on {self._label(out.side)} it {out.why}"
        for name in SIDES:
            label, side = self._label(name), self.results.collected[name]
            errors = [why for file, why in side.errors.items() if test.startswith(f"{file}::")]
            if errors:
                return f"on {label} its file could not be collected: {errors[0].removeprefix('E').strip()}"
            if test not in side.tests:
                return f"{label} does not have this test"
        return None

    def _remarks(self) -> Iterable[str]:
        for test, why in self.results.apart.items():
            yield f"sides ran apart: {test} ({why})"
        if self.left_open:
            what = "1 test" if self.left_open == 1 else f"{self.left_open} tests"
            one = self.launches.starting + self.each
            yield (
                f"the {self.task.budget:.0f} s of --gpuperf-confirm-budget had no time for all launches of {what}; "
                f"a launch of one test takes about {one:.0f} s"
            )


def _alike(pair: Pair) -> bool:
    """Whether both sides measured the same: as many items, by the same clock."""
    return len({(c.measurements[0].items, c.measurements[0].clock) for c in (*pair.base, *pair.head)}) == 1
