"""What all launches brought of each test, and when a case has enough of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_gpuperf.analysis.evidence import Policy
from pytest_gpuperf.analysis.matching import merged, policy_of
from pytest_gpuperf.analysis.paired import FULL, LOOKS, Launch, judge_paired_suite, wanting_launches
from pytest_gpuperf.results.records import Case, Rule, Session, Verdict
from pytest_gpuperf.revisions.messages import Collected
from pytest_gpuperf.revisions.side import OTHER, Name
from pytest_gpuperf.revisions.turns import Heard

SIDES: tuple[Name, Name] = ("base", "head")


@dataclass(frozen=True)
class Out:
    """Why a test is not measured any more."""

    side: Name
    why: str
    broken: bool  # it failed, died or hung, and was not merely skipped


@dataclass(frozen=True)
class Pair:
    """One case on both sides: a measurement a launch, in order."""

    base: tuple[Case, ...] = ()
    head: tuple[Case, ...] = ()

    @property
    def launches(self) -> list[Launch]:
        """Both sides' blocks."""
        return [
            Launch(a.measurements[0].blocks, b.measurements[0].blocks)
            for a, b in zip(self.base, self.head, strict=True)
        ]


@dataclass
class Gathered:
    """Everything heard so far."""

    override: Rule
    extended: bool  # more launches than the usual ones may follow, and each look is one more chance to be wrong
    spreads: Mapping[str, float] = field(default_factory=dict[str, float])  # by how much a case differed before
    only: Mapping[str, str] | None = None  # the cases that are wanted, and their tests; None: all
    pairs: dict[str, Pair] = field(default_factory=dict[str, Pair])
    sessions: list[Session] = field(default_factory=list[Session])  # head's
    collected: dict[Name, Collected] = field(default_factory=dict[Name, Collected])
    orders: dict[Name, dict[str, list[str]]] = field(default_factory=lambda: {"base": {}, "head": {}})
    out: dict[str, Out] = field(default_factory=dict[str, Out])
    skips: dict[Name, set[str]] = field(default_factory=lambda: {"base": set(), "head": set()})
    apart: dict[str, str] = field(default_factory=dict[str, str])  # test -> why its sides run one after the other
    launches: int = 0

    def present(self, collected: Mapping[Name, Collected]) -> None:
        """What sides have just said of themselves."""
        for name, side in collected.items():
            self.collected.setdefault(name, side)
            if name == "head":
                self.sessions.append(side.session)

    @property
    def tests(self) -> list[str]:
        """Those that both sides have, and that are wanted, in head's order."""
        base, head = (self.collected[name].tests for name in SIDES)
        known = set(base) if self.only is None else set(base) & set(self.only.values())
        return [test for test in head if test in known]

    def add(self, heard: Heard, *, alone: bool) -> None:
        """What one launch brought. A test that ran out of memory beside the other side is tried apart."""
        for test, (name, why) in heard.lost.items():
            self.out[test] = Out(name, why, broken=True)
        for name in SIDES[::-1]:  # head first: what it cannot do counts, whatever base cannot do
            for test, order in heard.orders[name].items():
                self.orders[name].setdefault(test, order)
            for test, ended in heard.ended[name].items():
                if ended.outcome == "passed":
                    continue
                if ended.outcome == "skipped":
                    self.skips[name].add(test)
                if ended.out_of_memory and not alone:
                    self.apart.setdefault(test, f"{name} ran out of memory beside {OTHER[name]}")
                else:
                    self.out.setdefault(test, Out(name, ended.why, broken=ended.outcome == "failed"))
        base, head = (heard.cases[name] for name in SIDES)
        for case in base.keys() & head.keys():
            if alone or head[case].test not in self.apart:
                before = self.pairs.get(case, Pair())
                self.pairs[case] = Pair((*before.base, base[case]), (*before.head, head[case]))

    @property
    def skipped_by_both(self) -> set[str]:
        """Tests that neither side runs here: they did not vanish."""
        return self.skips["base"] & self.skips["head"]

    def single(self) -> dict[str, Name]:
        """The cases that only one side came to, in tests that both have and passed -> which."""
        found: dict[str, Name] = {}
        for name in SIDES:
            for test, order in self.orders[name].items():
                other = self.orders[OTHER[name]].get(test, [])
                found |= {case: name for case in order if case not in other and test not in self.out}
        return found

    def judged(self) -> dict[str, Pair]:
        """The wanted cases of tests that both sides passed."""
        return {
            name: pair
            for name, pair in self.pairs.items()
            if pair.head[0].test not in self.out and (self.only is None or name in self.only)
        }

    def open(self) -> list[str]:
        """The tests with a case that another launch may decide."""
        judged = self.judged()
        launches = {name: pair.launches for name, pair in judged.items()}
        undecided = wanting_launches(launches, self._policies(judged), self.spreads, extended=self.extended)
        wanted = {judged[name].head[0].test for name in undecided}
        measured = {pair.head[0].test for pair in judged.values()}
        wanted |= {t for t in self.tests if t not in measured and t not in self.out and self._may_come(t)}
        return [test for test in self.tests if test in wanted and test not in self.out]

    def verdicts(self) -> dict[str, Verdict]:
        """Every case's, at the confidence of the suite."""
        judged = self.judged()
        launches = {name: pair.launches for name, pair in judged.items()}
        policies = self._policies(judged)
        return judge_paired_suite(launches, Policy(comparisons=self._comparisons(judged)), policies, self.spreads)

    def _policies(self, judged: Mapping[str, Pair]) -> dict[str, Policy]:
        comparisons = self._comparisons(judged)
        rules = {name: merged(pair.head[0].rule, self.override) for name, pair in judged.items()}
        return {name: replace(policy_of(rule, "time"), comparisons=comparisons) for name, rule in rules.items()}

    def _comparisons(self, judged: Mapping[str, Pair]) -> int:
        return max(len(judged), 1) * (len(LOOKS) if self.extended else 1)

    def _may_come(self, test: str) -> bool:
        """Not measured yet, but may be: its sides are to run apart, or its measurements met in different orders."""
        base, head = (self.orders[name].get(test, []) for name in SIDES)
        return self.launches < FULL and (test in self.apart or bool(set(base) & set(head)) or self.launches == 0)
