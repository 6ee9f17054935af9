"""How suspects are confirmed: in turns with the revision of their baseline, or else by fresh sessions."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from pytest_gpuperf.comparison.compare import convicts, spreads_of
from pytest_gpuperf.comparison.confirmed import recorded_at, shown, software_beside
from pytest_gpuperf.errors import GpuPerfError
from pytest_gpuperf.gate.suite import SUITE
from pytest_gpuperf.plugin.fresh_sessions import FRESH_SESSIONS, PATIENCE, SLACK, arguments_again, measured_again, say
from pytest_gpuperf.records.merge import beside_each
from pytest_gpuperf.records.model import Baseline, Beside, Confirmation, MetricKind, Run

if TYPE_CHECKING:
    from pytest_gpuperf.ab.confirm_in_turns import InTurns
    from pytest_gpuperf.plugin.settings import Settings

T = TypeVar("T")
MOST_REVISIONS = 2  # that one session takes turns with, at most: each has to be checked out, and built
DIRTY = "+dirty"
_LONGEST_SILENCE = 600.0  # seconds, at most, that a process may say nothing
# Some messages were written for `gpuperf ab`: what they name there, and what it is called here.
_IN_OUR_WORDS = {"--setup": "--gpuperf-setup", "Start gpuperf ab": "Start pytest"}


@dataclass(frozen=True)
class Suspicion:
    """The cases that one baseline does not clear, by the kind of cost that is suspected."""

    baseline: Baseline
    cases: Mapping[MetricKind, set[str]]

    def __bool__(self) -> bool:
        return any(self.cases.values())


@dataclass(frozen=True)
class Revision:
    """The revision that a case was recorded at, where turns can be taken with it."""

    commit: str | None  # None: no turns can be taken ...
    why: str = ""  # ... for this reason


@dataclass
class Confirming:
    """The confirmation of one session's suspects, while it goes on."""

    config: pytest.Config
    settings: Settings
    run: Run  # with the fresh sessions, as they come
    suspicions: Sequence[Suspicion]  # beside the baseline, then beside the pinned reference if there is one
    known: set[str]  # the baseline's cases: a few that are not suspect are measured beside the suspects
    durations: Mapping[str, float]  # test -> seconds that it took in this session
    started: float = field(default_factory=time.monotonic)
    in_turns: dict[str, InTurns] = field(default_factory=dict[str, "InTurns"])  # commit -> what came of turns with it
    refused: dict[str, str] = field(default_factory=dict[str, str])  # commit -> why no turns were taken with it
    failure: str | None = None  # why fresh sessions failed, if they did
    stopped: KeyboardInterrupt | None = None  # Ctrl-C, where it ended or prevented this
    fresh: set[str] = field(default_factory=set[str])  # cases that fresh sessions were started for
    failed: set[str] = field(default_factory=set[str])  # the cases of fresh sessions that failed

    def __post_init__(self) -> None:
        self.tests = {case.id: case.test for case in self.run.cases}
        self.sessions_before = len(self.run.sessions)
        self.revisions = [_revisions(suspicion) for suspicion in self.suspicions]

    def confirm(self) -> None:
        """Take turns, then start fresh sessions for what turns could not tell. Ctrl-C ends this, not the judging."""
        try:
            if self.settings.confirm == "turns":
                self._take_turns()
            self._start_fresh_sessions()
        except KeyboardInterrupt as stop:
            self.stopped = stop

    def learned(self) -> Run:
        """The run, with everything that was learned."""
        pairs = zip(self.suspicions, self.revisions, strict=True)
        beside = beside_each(chain.from_iterable(self._beside(*pair) for pair in pairs))
        return msgspec.structs.replace(self.run, confirmation=self._record(), beside=beside)

    def _take_turns(self) -> None:
        wanted = Counter(r.commit for revisions in self.revisions for r in revisions.values() if r.commit is not None)
        chosen = [commit for commit, _ in wanted.most_common(MOST_REVISIONS)]
        for done, commit in enumerate(chosen):
            spent = time.monotonic() - self.started
            # Every revision that is still to come may spend an equal part of what is left.
            self._take_turns_with(commit, max(self.settings.confirm_budget - spent, 0.0) / (len(chosen) - done))

    def _take_turns_with(self, commit: str, budget: float) -> None:
        from pytest_gpuperf.ab import confirm_in_turns

        config, settings = self.config, self.settings
        cases = {c: self.tests[c] for revisions in self.revisions for c, r in revisions.items() if r.commit == commit}
        reports = (settings.markdown, settings.csv, config.getoption("xmlpath", None))
        try:
            self.in_turns[commit] = confirm_in_turns.confirm_in_turns(
                confirm_in_turns.Confirming(
                    revision=commit,
                    cases=cases,
                    spreads={c: spread for s in self.suspicions for c, spread in spreads_of(s.baseline, cases).items()},
                    folder=config.invocation_params.dir,
                    rootdir=config.rootpath,
                    arguments=lambda tests, scratch: arguments_again(config, tests, scratch),
                    own={Path(config.invocation_params.dir, file).resolve() for file in reports if file is not None},
                    setup=settings.setup,
                    budget=budget,
                    limit=min(_LONGEST_SILENCE, SLACK + PATIENCE * sum(self.durations.values())),
                    progress=lambda text: say(config, text),
                )
            )
        except (GpuPerfError, OSError) as error:  # a disk may be full
            why = str(error)
            for theirs, ours in _IN_OUR_WORDS.items():
                why = why.replace(theirs, ours)
            self.refused[commit] = why
            say(config, f"no turns were taken with {shown(commit)}: {why}")

    def _start_fresh_sessions(self) -> None:
        """Measure afresh what turns did not tell; then, once more, what would fail by that.

        These are the suspects of memory or energy, and those of time that took no turns. Suspects whose code did not
        change are measured as far as the budget goes.
        """
        wanted: set[str] = set()
        same_code: set[str] = set()
        for suspicion, revisions in zip(self.suspicions, self.revisions, strict=True):
            for case, revision in revisions.items():
                outcome = self.in_turns.get(revision.commit or "")
                if outcome is None or (not outcome.same and case not in outcome.launches):
                    wanted.add(case)
                elif outcome.same:
                    same_code.add(case)
            wanted |= set(chain.from_iterable(cases for kind, cases in suspicion.cases.items() if kind != "time"))
        self.fresh = wanted | self._affordable(same_code - wanted)
        if self.fresh:
            self._measure_again(self.fresh, would_fail=False)
            failing = self._would_fail() if self.failure is None else None
            if failing:
                self._measure_again(failing, would_fail=True)

    def _measure_again(self, cases: set[str], *, would_fail: bool) -> None:
        took = sum(self.durations.values())
        self.run, self.failure = measured_again(self.config, self.run, cases, self.known, took, would_fail=would_fail)
        if self.failure is not None:
            self.failed = cases

    def _would_fail(self) -> set[str]:
        """The cases that would fail by their fresh sessions: they are measured once more before they do.

        Where every fifth process of a test is a slow one, one of many tests soon meets three slow ones in a row.
        """
        found: set[str] = set()
        for suspicion, revisions in zip(self.suspicions, self.revisions, strict=True):
            failing = convicts(self.run, suspicion.baseline)
            if SUITE in failing["time"]:
                failing["time"] |= self.fresh  # the suite as a whole fails by all of them
            outcomes = self._outcomes(revisions)
            took_turns = {c for c, o in outcomes.items() if c in o.launches}
            same_code = {c for c, o in outcomes.items() if o.same}
            excused = set[str]() if software_beside(self.run, suspicion.baseline, same_code) else same_code
            found |= failing["energy"] | (failing["time"] - took_turns - excused)
        return found & self.fresh

    def _outcomes(self, revisions: Mapping[str, Revision]) -> dict[str, InTurns]:
        """What came of the turns with each case's revision, where turns were taken with it."""
        return {c: self.in_turns[r.commit] for c, r in revisions.items() if r.commit in self.in_turns}

    def _affordable(self, cases: Iterable[str]) -> set[str]:
        """Those that fresh sessions have time for, in the order of their names."""
        left = self.settings.confirm_budget - (time.monotonic() - self.started)
        affordable: set[str] = set()
        tests: set[str] = set()
        for case in sorted(cases):
            test = self.tests[case]
            if test not in tests:  # cases of one test are measured together
                left -= FRESH_SESSIONS * self.durations.get(test, 0.0)
                if left < 0:
                    break
            tests.add(test)
            affordable.add(case)
        return affordable

    def _beside(self, suspicion: Suspicion, revisions: Mapping[str, Revision]) -> Iterator[Beside]:
        """What was learned of one baseline's suspects: one `Beside` for each revision that they were recorded at."""
        suspects_of_time = suspicion.cases["time"]
        outcomes = self._outcomes(revisions)
        launches = {c: o.launches[c] for c, o in outcomes.items() if c in o.launches}
        same_code = {c for c, o in outcomes.items() if o.same}
        undecided = suspects_of_time - launches.keys() - same_code  # turns told nothing of these
        unconfirmed: dict[MetricKind, dict[str, str]] = {
            kind: self._unconfirmed(undecided if kind == "time" else suspects)
            for kind, suspects in suspicion.cases.items()
        }
        without_turns = undecided - unconfirmed["time"].keys() if self.settings.confirm == "turns" else set[str]()
        not_in_turns = {c: self._why_no_turns(c, revisions[c]) for c in without_turns}
        revision_of = recorded_at(suspicion.baseline)
        by_revision: dict[str | None, set[str]] = defaultdict(set)
        for case in chain(*suspicion.cases.values()):
            by_revision[revision_of[case]].add(case)
        for revision, cases in by_revision.items():
            yield Beside(
                revision=revision,
                same_code=tuple(sorted(same_code & cases)),
                launches=_only(launches, cases),
                not_in_turns=_only(not_in_turns, cases),
                unconfirmed={kind: _only(why, cases) for kind, why in unconfirmed.items() if cases & why.keys()},
            )

    def _unconfirmed(self, cases: set[str]) -> dict[str, str]:
        """Those of these suspects that could not be measured again, and why."""
        if self.failure is not None:
            return dict.fromkeys(cases & self.failed, self.failure.splitlines()[0])
        if self.stopped is not None:
            return dict.fromkeys(cases, "the session was interrupted before it was measured again")
        return {}

    def _why_no_turns(self, case: str, revision: Revision) -> str:
        """Why a suspect took no turns."""
        if revision.commit is None:
            return revision.why
        if revision.commit in self.refused:
            return self.refused[revision.commit].splitlines()[0]
        if revision.commit in self.in_turns:
            return self.in_turns[revision.commit].missing[case]
        return (
            f"its baseline was recorded at {shown(revision.commit)}, and in one session turns are taken with "
            f"{MOST_REVISIONS} revisions"
        )

    def _record(self) -> Confirmation:
        tests_in_turns = {self.tests[case] for outcome in self.in_turns.values() for case in outcome.launches}
        return Confirmation(
            tests=len(tests_in_turns | {self.tests[case] for case in self.fresh}),
            seconds=time.monotonic() - self.started,
            launches=sum(outcome.count for outcome in self.in_turns.values()),
            sessions=len(self.run.sessions) - self.sessions_before,
            remarks=tuple(chain.from_iterable(outcome.remarks for outcome in self.in_turns.values())),
        )


def _only(by_case: Mapping[str, T], cases: Collection[str]) -> dict[str, T]:
    return {case: what for case, what in sorted(by_case.items()) if case in cases}


def _revisions(suspicion: Suspicion) -> dict[str, Revision]:
    """The revision that each suspect of time was recorded at: turns tell of time alone."""
    revision_of = recorded_at(suspicion.baseline)
    return {case: _revision(revision_of[case]) for case in sorted(suspicion.cases["time"])}


def _revision(recorded: str | None) -> Revision:
    if recorded is None:
        return Revision(None, "the baseline does not know which revision it was recorded at")
    if recorded.endswith(DIRTY):
        commit = shown(recorded.removesuffix(DIRTY))
        return Revision(None, f"the baseline was recorded with uncommitted changes at {commit}")
    return Revision(recorded)
