"""Whole suites drawn from synthetic machines: how often an unchanged suite fails, and how surely a slower one does.

    python benchmarks/gate_suites.py --corpus DIRECTORY_OF_SYNTH [--only stored|paired|single|speed] [--suites 400]

Each cell starts from its own seed, so that any of them can be drawn again by itself.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gate_draws as draws
import numpy as np

from pytest_gpuperf.gate.observations import Canaries, CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.side_by_side import Launch, judge_paired, needs_more_launches
from pytest_gpuperf.gate.verdicts import SUITE, find_suspects, judge_suite
from pytest_gpuperf.records.certificate import wilson
from pytest_gpuperf.records.model import Verdict

BASELINE, FRESH, REFERENCES = 5, 2, 3  # as the plugin does
CANARIES = ("matmul", "copy", "host loop")
AT_ONCE = 20_000  # cases drawn together, to bound the memory


@dataclass(frozen=True)
class Plan:
    """What was done to a suite."""

    tests: int
    share: float = 0.0  # of the tests, slowed; at least one where `slow` is given
    slow: float = 0.0
    machine_slow: float = 0.0
    canaries: bool = True

    @property
    def slowed(self) -> int:
        return max(1, round(self.share * self.tests)) if self.slow else 0

    def __str__(self) -> str:
        what = f"{self.share:.0%} by {self.slow:.0%}" if self.share else f"one by {self.slow:.0%}"
        what = what if self.slow else "none"
        return what + (f", machine by {self.machine_slow:.0%}" if self.machine_slow else "")


def stored_suites(
    machine: Any, rng: np.random.Generator, plan: Plan, count: int
) -> Iterator[tuple[dict[str, CaseEvidence], Canaries | None]]:
    """Suites with all sessions that could be asked for; tests of one suite last differently long."""
    each = max(1, AT_ONCE // plan.tests)
    for start in range(0, count, each):
        yield from _some_suites(machine, rng, plan, min(each, count - start))


def _some_suites(machine: Any, rng: np.random.Generator, plan: Plan, count: int) -> Iterator[Any]:
    names = [f"then{i}" for i in range(BASELINE)] + [f"now{i}" for i in range(1 + FRESH)]
    tests, sessions = plan.tests, len(names)
    now = np.arange(sessions) >= BASELINE
    shared = draws.common(machine, rng, count * sessions).reshape(count, 1, sessions)
    shared = shared + np.where(now, np.log1p(plan.machine_slow), 0.0)
    bases = machine.base_us * np.exp(rng.uniform(-0.35, 0.35, (count, tests, 1)))
    slow = np.where((np.arange(tests)[:, None] < plan.slowed) & now, 1 + plan.slow, 1.0)
    shape = (count, tests, sessions)
    kept = _kept(machine, rng, bases * slow, shared, shape)
    canary = np.full((1, 1, 1), machine.base_us * 3)
    readings = _kept(machine, rng, canary, shared, (count, len(CANARIES), sessions)) if plan.canaries else []
    for suite in range(count):
        found: dict[str, CaseEvidence] = {}
        for test in range(tests):
            at = (suite * tests + test) * sessions
            seen = [Observed(n, kept[at + i]) for i, n in enumerate(names)]
            found[str(test)] = CaseEvidence(seen[:BASELINE], seen[BASELINE:])
        at = suite * len(CANARIES) * sessions
        told = {
            n: {c: readings[at + j * sessions + i] for j, c in enumerate(CANARIES)}
            for i, n in enumerate(names if plan.canaries else [])
        }
        yield found, told or None


def _kept(machine: Any, rng: np.random.Generator, bases: Any, shared: Any, shape: tuple[int, ...]) -> Any:
    spread = (np.broadcast_to(x, shape).ravel() for x in (bases, shared))
    return draws.medians(draws.sessions(machine, rng, *spread))


def judged(
    cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy
) -> tuple[dict[str, Verdict], int]:
    """Screen, confirm, judge: as the plugin does. Also, how many cases were measured again."""
    first = {n: replace(c, candidate=c.candidate[:1]) for n, c in cases.items()}
    again = find_suspects(first, canaries, policy)
    if again:
        calm = [n for n in first if n not in again][:REFERENCES]
        first |= {n: cases[n] for n in (*again, *calm)}
    return judge_suite(first, canaries, policy), len(again)


def seeded(*what: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def share(hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    return f"{100 * hits / count:.1f}% ({100 * low:.1f}-{100 * high:.1f}%)"


def stored_row(name: str, machine: Any, plan: Plan, count: int) -> str:
    rng = seeded(name, plan)
    tally: Counter[str] = Counter()
    for cases, canaries in stored_suites(machine, rng, plan, count):
        verdicts, again = judged(cases, canaries, Policy())
        whole = verdicts.pop(SUITE, None)
        words = Counter(v.word for v in verdicts.values())
        slowed = sum(verdicts[str(t)].word == "regressed" for t in range(plan.slowed))
        suite = whole is not None and whole.word == "regressed"
        tally["failed"] += suite or words["regressed"] > 0
        tally["by suite alone"] += suite and not words["regressed"]
        tally["found"] += slowed
        tally["open"] += words["inconclusive"]
        tally["again"] += again
    total = count * plan.tests
    hits = f"{100 * tally['found'] / count / plan.slowed:.0f}%" if plan.slow else ""
    return (
        f"| {name} | {plan.tests} | {plan} | {count} | {share(tally['failed'], count)} | {tally['by suite alone']} | "
        f"{hits} | {100 * tally['open'] / total:.1f}% | {100 * tally['again'] / total:.1f}% |"
    )


def stored_table(synth: Any, arguments: argparse.Namespace) -> None:
    print("| machine | tests | slowed | suites | failed | by the suite alone | slowed tests found | A/A and others "
          "inconclusive | measured again |")  # fmt: skip
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|")
    calm = [(0.0, 0.0, 0.0), (0.0, 0.0, 0.02)]
    slower = [(s, x, 0.0) for s in (0.0, 0.4, 0.6, 1.0) for x in (0.05, 0.10)]
    for tests in arguments.tests:
        plans = calm + [p for p in slower if tests == 48 or (tests < 10 and p[0] in {0.0, 1.0})]
        for name, machine in synth.DEV.items():
            for portion, slow, machine_slow in plans:
                if arguments.calm and slow:
                    continue
                if tests == 1 and portion:
                    continue
                count = arguments.suites // 4 if tests > 500 else arguments.suites
                count = count * 5 if tests < 10 and not slow else count
                print(stored_row(name, machine, Plan(tests, portion, slow, machine_slow), count), flush=True)


def single_table(synth: Any, count: int) -> None:
    """One case alone, without canaries, as in the corpus."""
    print("\n| machine | cases | regressed at 0% | 3% | 5% | 10% | passed at 5% | inconclusive at 0% |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    policy = Policy()
    for name, machine in synth.DEV.items():
        cells = []
        for slow in (0.0, 0.03, 0.05, 0.10):
            plan = Plan(1, 0.0, slow, canaries=False)
            words = Counter(
                judged(cases, None, policy)[0]["0"].word
                for cases, _ in stored_suites(machine, seeded(name, "single", slow), plan, count)
            )
            cells.append(words)
        calm, _, five, _ = cells
        shown = [share(calm["regressed"], count), *(f"{100 * w['regressed'] / count:.0f}%" for w in cells[1:])]
        shown += [f"{100 * five['unchanged'] / count:.1f}%", f"{100 * calm['inconclusive'] / count:.0f}%"]
        print(f"| {name} | {count} | " + " | ".join(shown) + " |", flush=True)


def paired_table(synth: Any, arguments: argparse.Namespace) -> None:
    """Every test of a suite by itself, at the suite's confidence."""
    print("\n| machine | tests a suite | slowed by | tests | regressed | unchanged | suites that fail, at that rate |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for tests in (t for t in arguments.tests if t > 3):
        for name, machine in synth.DEV.items():
            for slow in (0.0, 0.02, 0.05):
                count = arguments.suites * (5 if slow else 50)
                words = paired_words(machine, seeded(name, tests, slow), 1 + slow, count, Policy(comparisons=tests))
                rate = words["regressed"] / count
                print(
                    f"| {name} | {tests} | {slow:.0%} | {count} | {share(words['regressed'], count)} | "
                    f"{100 * words['unchanged'] / count:.1f}% | {100 * (1 - (1 - rate) ** tests):.1f}% |",
                    flush=True,
                )


def paired_words(machine: Any, rng: np.random.Generator, ratio: float, count: int, policy: Policy) -> Counter[str]:
    words: Counter[str] = Counter()
    for start in range(0, count, 500):
        size = min(500, count - start)
        bases = machine.base_us * np.exp(rng.uniform(-0.35, 0.35, size))
        slow = np.full(size, ratio)
        drawn = [list(draws.launches(machine, rng, bases, slow)) for _ in range(5)]
        for case in range(size):
            made: list[Launch] = []
            while needs_more_launches(made, policy):
                made.append(Launch(*drawn[len(made)][case]))
            words[judge_paired(made, policy).word] += 1
    return words


def speed() -> None:
    print("\n| cases x sessions | judge_suite, s |\n|---|---:|")
    rng = np.random.default_rng(0)
    for count in (1000, 2500, 5000, 10000, 20000):
        medians = rng.lognormal(0, 0.01, (count, 11, 16))
        cases = {
            str(i): CaseEvidence(
                [Observed(f"s{j}", tuple(m[j].tolist()), j * 90000.0, "card") for j in range(10)],
                [Observed("now", tuple(m[10].tolist()), 1e7, "card")],
            )
            for i, m in enumerate(medians)
        }
        readings = {f"s{j}": {c: [1e-3] * 8 for c in CANARIES} for j in range(10)}
        readings |= {"now": {c: [1e-3] * 8 for c in CANARIES}}
        best = min(timed(cases, readings) for _ in range(3))
        print(f"| {count} x 10 | {best:.3f} |", flush=True)


def timed(cases: Mapping[str, CaseEvidence], canaries: Canaries) -> float:
    start = time.perf_counter()
    judge_suite(cases, canaries, Policy())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--suites", type=int, default=400)
    parser.add_argument("--tests", type=int, nargs="*", default=[1, 2, 3, 48, 200, 1000])
    parser.add_argument("--calm", action="store_true", help="only unchanged suites")
    parser.add_argument("--only", choices=["stored", "paired", "single", "speed", "check"])
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.corpus)
    synth = importlib.import_module("synth")
    if arguments.only in {None, "stored"}:
        stored_table(synth, arguments)
    if arguments.only in {None, "paired"}:
        paired_table(synth, arguments)
    if arguments.only in {None, "single"}:
        single_table(synth, arguments.suites * 10)
    if arguments.only in {None, "speed"}:
        speed()
    if arguments.only == "check":
        draws.check(synth)


if __name__ == "__main__":
    main()
