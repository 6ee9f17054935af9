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
from pytest_gpuperf.gate.side_by_side import figures_of
from pytest_gpuperf.gate.suite import SUITE
from pytest_gpuperf.plugin.fresh_sessions import FRESH_SESSIONS, PATIENCE, SLACK, arguments_again, measured_again, say
from pytest_gpuperf.records.merge import beside_each
from pytest_gpuperf.records.model import Baseline, Beside, Confirmation, MetricKind, Run

if TYPE_CHECKING:
    from pytest_gpuperf.ab.confirm_in_turns import InTurns
    from pytest_gpuperf.plugin.settings import Settings

T = TypeVar("T")
MOST_REVISIONS = 2  # that turns are taken with in one session: each has to be checked out, and built
DIRTY = "+dirty"
_LONGEST_SILENCE = 600.0  # seconds
_IN_OUR_WORDS = {"--setup": "--gpuperf-setup", "Start gpuperf ab": "Start pytest"}  # of messages to `gpuperf ab`


@dataclass(frozen=True)
class Suspicion:
    """What one baseline does not clear, by the kind of evidence."""

    baseline: Baseline
    cases: Mapping[MetricKind, set[str]]

    def __bool__(self) -> bool:
        return any(self.cases.values())


@dataclass(frozen=True)
class Revision:
    """What a case was recorded at."""

    commit: str | None
    why: str = ""  # turns cannot be taken with it


@dataclass
class Confirming:
    """One session's suspects being measured again."""

    config: pytest.Config
    settings: Settings
    run: Run  # with the fresh sessions, as they come
    suspicions: Sequence[Suspicion]  # against the baseline, then against the pinned reference
    known: set[str]  # the baseline's cases
    durations: Mapping[str, float]  # test -> seconds it took in this session
    started: float = field(default_factory=time.monotonic)
    in_turns: dict[str, InTurns] = field(default_factory=dict[str, "InTurns"])  # commit -> what came of it
    refused: dict[str, str] = field(default_factory=dict[str, str])  # commit -> why it took no turns
    failure: str | None = None  # of the fresh sessions
    stopped: KeyboardInterrupt | None = None
    fresh: set[str] = field(default_factory=set[str])  # cases that fresh sessions were started for
    failed: set[str] = field(default_factory=set[str])  # ... and that those did not measure

    def __post_init__(self) -> None:
        self.tests = {case.id: case.test for case in self.run.cases}
        self.sessions_before = len(self.run.sessions)
        self.revisions = [_revisions(suspicion) for suspicion in self.suspicions]

    def confirm(self) -> None:
        """Take turns, then start fresh sessions for what turns could not tell. Ctrl-C ends it, and not the judging."""
        try:
            if self.settings.confirm == "turns":
                self._take_turns()
            self._start_fresh_sessions()
        except KeyboardInterrupt as stop:
            self.stopped = stop

    def learned(self) -> Run:
        """The run, with everything that was learned."""
        each = zip(self.suspicions, self.revisions, strict=True)
        beside = beside_each(chain.from_iterable(self._beside(*one) for one in each))
        return msgspec.structs.replace(self.run, confirmation=self._record(), beside=beside)

    def _take_turns(self) -> None:
        wanted = Counter(r.commit for known in self.revisions for r in known.values() if r.commit is not None)
        common = [commit for commit, _ in wanted.most_common(MOST_REVISIONS)]
        for number, commit in enumerate(common):
            spent = time.monotonic() - self.started
            self._measure(commit, max(self.settings.confirm_budget - spent, 0.0) / (len(common) - number))

    def _measure(self, commit: str, budget: float) -> None:
        from pytest_gpuperf.ab import confirm_in_turns

        config, settings = self.config, self.settings
        cases = {c: self.tests[c] for known in self.revisions for c, r in known.items() if r.commit == commit}
        reports = (settings.markdown, settings.csv, config.getoption("xmlpath", None))
        try:
            self.in_turns[commit] = confirm_in_turns.confirm_in_turns(
                confirm_in_turns.Confirming(
                    revision=commit,
                    cases=cases,
                    spreads={n: s for of in self.suspicions for n, s in spreads_of(of.baseline, cases).items()},
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
        """For suspects of more than time, or that took no turns; where no code changed, as far as the budget goes."""
        wanted: set[str] = set()
        unchanged: set[str] = set()
        for suspicion, revisions in zip(self.suspicions, self.revisions, strict=True):
            for case, revision in revisions.items():
                outcome = self.in_turns.get(revision.commit or "")
                if outcome is None or (not outcome.same and case not in outcome.launches):
                    wanted.add(case)
                elif outcome.same:
                    unchanged.add(case)
            wanted |= set(chain.from_iterable(cases for kind, cases in suspicion.cases.items() if kind != "time"))
        self.fresh = wanted | self._affordable(unchanged - wanted)
        if self.fresh:
            self._measure_again(self.fresh, would_fail=False)
            failing = self._convicts() if self.failure is None else None
            if failing:
                self._measure_again(failing, would_fail=True)

    def _measure_again(self, cases: set[str], *, would_fail: bool) -> None:
        took = sum(self.durations.values())
        self.run, self.failure = measured_again(self.config, self.run, cases, self.known, took, would_fail=would_fail)
        if self.failure is not None:
            self.failed = cases

    def _convicts(self) -> set[str]:
        """What would fail by its fresh sessions.

        Where every fifth process of a test is a slow one, one of many tests soon meets three in a row.
        """
        found: set[str] = set()
        for suspicion, revisions in zip(self.suspicions, self.revisions, strict=True):
            failing = convicts(self.run, suspicion.baseline)
            if SUITE in failing["time"]:
                failing["time"] |= self.fresh
            outcomes = self._outcomes(revisions)
            turned = {c for c, o in outcomes.items() if c in o.launches}
            same = {c for c, o in outcomes.items() if o.same}
            excused = set[str]() if software_beside(self.run, suspicion.baseline, same) else same
            found |= failing["energy"] | (failing["time"] - turned - excused)
        return found & self.fresh

    def _outcomes(self, revisions: Mapping[str, Revision]) -> dict[str, InTurns]:
        """What came of the turns with each case's revision, where any were asked for."""
        return {c: self.in_turns[r.commit] for c, r in revisions.items() if r.commit in self.in_turns}

    def _affordable(self, cases: Iterable[str]) -> set[str]:
        """Those that fresh sessions have time for."""
        left = self.settings.confirm_budget - (time.monotonic() - self.started)
        seconds: dict[str, float] = {}
        for case in sorted(cases):
            seconds[case] = FRESH_SESSIONS * self.durations.get(self.tests[case], 0.0)
            if sum(seconds.values()) > left:
                break
        return set(seconds)

    def _beside(self, suspicion: Suspicion, revisions: Mapping[str, Revision]) -> Iterator[Beside]:
        """What was learned of one baseline's suspects, by the revisions that they were recorded at."""
        timed = suspicion.cases["time"]
        outcomes = self._outcomes(revisions)
        launches = {c: tuple(map(figures_of, o.launches[c])) for c, o in outcomes.items() if c in o.launches}
        same = {c for c, o in outcomes.items() if o.same}
        rest = timed - launches.keys() - same
        undone: dict[MetricKind, dict[str, str]] = {
            kind: self._undone(rest if kind == "time" else of) for kind, of in suspicion.cases.items()
        }
        asked = rest - undone["time"].keys() if self.settings.confirm == "turns" else set[str]()
        missed = {c: self._why_not(c, revisions[c]) for c in asked}
        at = recorded_at(suspicion.baseline)
        cases: dict[str | None, set[str]] = defaultdict(set)
        for case in chain(*suspicion.cases.values()):
            cases[at[case]].add(case)
        for recorded, here in cases.items():
            yield Beside(
                revision=recorded,
                same_code=tuple(sorted(same & here)),
                launches=_of(launches, here),
                not_in_turns=_of(missed, here),
                unconfirmed={kind: _of(of, here) for kind, of in undone.items() if here & of.keys()},
            )

    def _undone(self, cases: set[str]) -> dict[str, str]:
        """Those of these suspects that nothing could be learned of, and why."""
        if self.failure is not None:
            return dict.fromkeys(cases & self.failed, self.failure.splitlines()[0])
        if self.stopped is not None:
            return dict.fromkeys(cases, "the session was interrupted before it was measured again")
        return {}

    def _why_not(self, case: str, revision: Revision) -> str:
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
        turned = {self.tests[case] for outcome in self.in_turns.values() for case in outcome.launches}
        return Confirmation(
            tests=len(turned | {self.tests[case] for case in self.fresh}),
            seconds=time.monotonic() - self.started,
            launches=sum(outcome.count for outcome in self.in_turns.values()),
            sessions=len(self.run.sessions) - self.sessions_before,
            remarks=tuple(chain.from_iterable(outcome.remarks for outcome in self.in_turns.values())),
        )


def _of(found: Mapping[str, T], cases: Collection[str]) -> dict[str, T]:
    return {case: what for case, what in sorted(found.items()) if case in cases}


def _revisions(suspicion: Suspicion) -> dict[str, Revision]:
    """What each case was recorded at; of those that may have become slower."""
    at = recorded_at(suspicion.baseline)
    return {case: _revision(at[case]) for case in sorted(suspicion.cases["time"])}


def _revision(recorded: str | None) -> Revision:
    if recorded is None:
        return Revision(None, "the baseline does not know which revision it was recorded at")
    if recorded.endswith(DIRTY):
        commit = shown(recorded.removesuffix(DIRTY))
        return Revision(None, f"the baseline was recorded with uncommitted changes at {commit}")
    return Revision(recorded)
