"""What all launches brought of each test, and the comparison that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import msgspec

from pytest_gpuperf.ab.checkout import OTHER, Name
from pytest_gpuperf.ab.protocol import Collected
from pytest_gpuperf.ab.turns import Received
from pytest_gpuperf.comparison.findings import Comparison, Finding, Rules, Sides
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.comparison.match import merged, policy_of, stated
from pytest_gpuperf.gate.observations import Policy
from pytest_gpuperf.gate.side_by_side import FULL, LOOKS, Launch, figures_of, judge_paired_suite, wanting_launches
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Case, LaunchFigures, Measurement, Rule, Run, Session, Verdict
from pytest_gpuperf.records.units import METRICS, format_bytes, format_change

SIDES: tuple[Name, Name] = ("base", "head")
_MEMORY_MOVED = 0.02


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
    def launches(self) -> list[LaunchFigures]:
        """What a verdict reads off both sides' blocks."""
        return [
            figures_of(Launch(a.measurements[0].blocks, b.measurements[0].blocks))
            for a, b in zip(self.base, self.head, strict=True)
        ]


@dataclass
class Results:
    """Everything that the workers have sent so far."""

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
        """Keep what sides send when they have collected their tests."""
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

    def add(self, received: Received, *, alone: bool) -> None:
        """Add what one launch brought. A test that ran out of memory beside the other side is tried apart."""
        for test, (name, why) in received.lost.items():
            self.out[test] = Out(name, why, broken=True)
        for name in SIDES[::-1]:  # head first: what it cannot do counts, whatever base cannot do
            for test, order in received.orders[name].items():
                self.orders[name].setdefault(test, order)
            for test, ended in received.ended[name].items():
                if ended.outcome == "passed":
                    continue
                if ended.outcome == "skipped":
                    self.skips[name].add(test)
                if ended.out_of_memory and not alone:
                    self.apart.setdefault(test, f"{name} ran out of memory beside {OTHER[name]}")
                else:
                    self.out.setdefault(test, Out(name, ended.why, broken=ended.outcome == "failed"))
        base, head = (received.cases[name] for name in SIDES)
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


def judged(
    results: Results,
    labels: Mapping[Name, str],
    rules: Rules,
    imported: tuple[str, ...],
    *,
    seconds: float,
    options: tuple[str, ...] = (),
    invocation: Invocation | None = None,
) -> JudgedRun:
    """Everything that was compared, with what was not and why."""
    verdicts = results.verdicts()
    pairs = results.judged()
    uncompared = _uncompared(results)
    comparison = Comparison(
        baseline=labels["base"],
        device=results.collected["head"].environment.device,
        findings=tuple(_finding(pairs[name], verdict, results) for name, verdict in sorted(verdicts.items())),
        new=uncompared.new,
        vanished=uncompared.vanished,
        rules=rules,
        invocation=invocation or Invocation(),
        sides=Sides(
            base=labels["base"],
            head=labels["head"],
            options=options,
            launches=results.launches,
            seconds=seconds,
            imported=imported,
            apart=results.apart,
            failed=uncompared.failed,
            skipped=uncompared.skipped,
            one_sided=uncompared.one_sided,
        ),
    )
    run = Run(
        environment=results.collected["head"].environment,
        sessions=tuple(results.sessions),
        cases=tuple(
            msgspec.structs.replace(pair.head[0], measurements=_quiet([c.measurements[0] for c in pair.head]))
            for _, pair in sorted(pairs.items())
        ),
    )
    return JudgedRun(run=run, comparison=comparison)


@dataclass(frozen=True)
class _Uncompared:
    """What was not compared, by what that means."""

    new: tuple[str, ...]
    vanished: tuple[str, ...]
    failed: dict[str, str]
    skipped: dict[str, str]
    one_sided: dict[str, str]


def _uncompared(results: Results) -> _Uncompared:
    tests = {name: set(side.tests) for name, side in results.collected.items()}
    errors = {name: side.errors for name, side in results.collected.items()}
    failed = {file: f"head: not collected: {why}" for file, why in errors["head"].items()}
    one_sided = {file: f"base: not collected: {why}" for file, why in errors["base"].items() if file not in failed}
    skipped: dict[str, str] = {}
    for test, out in results.out.items():
        if out.side == "base":
            one_sided[test] = f"base: {out.why}"
        elif out.broken:
            failed[test] = f"head: {out.why}"
        else:
            skipped[test] = f"head: {out.why}"
    single = results.single()
    gone = {
        name: {test for test in tests[name] - tests[OTHER[name]] if not _in(test, errors[OTHER[name]])}
        for name in SIDES
    }
    measured = {pair.head[0].test for pair in results.pairs.values()} | {case.partition("#")[0] for case in single}
    one_sided |= {
        test: "nothing was measured on both sides"
        for test in results.tests
        if test not in results.out and test not in measured
    }
    return _Uncompared(
        new=tuple(sorted(gone["head"] | {case for case, name in single.items() if name == "head"})),
        vanished=tuple(
            sorted(
                gone["base"]
                | (skipped.keys() - results.skipped_by_both)
                | {c for c, n in single.items() if n == "base"}
            )
        ),
        failed=failed,
        skipped=skipped,
        one_sided=one_sided,
    )


def _in(test: str, files: Mapping[str, str]) -> bool:
    return any(test.startswith(f"{file}::") for file in files)


def _finding(pair: Pair, verdict: Verdict, results: Results) -> Finding:
    case = pair.head[0]
    metric, tolerance = stated(merged(case.rule, results.override), "time")
    base, head = ([c.measurements[0] for c in side] for side in (pair.base, pair.head))
    return Finding(
        case=case.id,
        test=case.test,
        line=case.line,
        evidence="time",
        metric=metric,
        baseline=_figure(metric, base),
        current=_figure(metric, head),
        tolerance=tolerance,
        baseline_sessions=len(base),
        current_sessions=len(head),
        verdict=verdict,
        notes=(*head[-1].notes, *_memory_note(base, head)),
    )


def _quiet(measured: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Only the last launch's notes: each process says the same again, in figures of its own."""
    return (*(msgspec.structs.replace(m, notes=()) for m in measured[:-1]), measured[-1])


def _figure(metric: str, measured: Sequence[Measurement]) -> float:
    seconds = median(m.device_time.median for m in measured)
    return measured[0].items / seconds if METRICS[metric].higher_is_better else seconds


def _memory_note(base: Sequence[Measurement], head: Sequence[Measurement]) -> tuple[str, ...]:
    """A note on a changed peak of memory, which is not judged here. Of a processor there is none: its peak wanders."""
    before = [m.peak_memory for m in base if m.peak_memory and m.memory_source != "RSS"]
    after = [m.peak_memory for m in head if m.peak_memory and m.memory_source != "RSS"]
    if not before or not after or abs(median(after) / median(before) - 1) < _MEMORY_MOVED:
        return ()
    moved = format_change(median(after) / median(before))
    return (f"peak memory {format_bytes(median(after))}, {format_bytes(median(before))} in the base ({moved})",)
