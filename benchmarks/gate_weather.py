"""Whole suites in bad weather: how often an unchanged suite fails, and how surely a slower test is found.

    python benchmarks/gate_weather.py [--suites 200] [--sizes 1 8 24 200] [--turns with without] [--only SUBSTRING]

Judged on the product's own path by `gate_corpus.suite`. Prints one Markdown table; "found" names what was put in
where it is not 5% and 10% of one case. Each cell starts from its own seed: any of them can be drawn again by itself.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from multiprocessing import Pool

import gate_corpus
from gate_suites import BASELINE, share
from gate_weather_draws import (
    DAY,
    Drawn,
    Mode,
    Movement,
    Situation,
    Slowed,
    always,
    between,
    either_way,
    normal,
    suites,
)

from pytest_gpuperf.gate.verdicts import SUITE

HALF_SEEN, UNSEEN = (0.5, 0.5), (0.0, 0.0)
NEIGHBOUR = Movement(between(0.2, 0.6), felt=(0.5, 1.0), seen=(0.2, 0.8), stays=0.5, restless=True)


def slowed(tests: float) -> tuple[Slowed, Slowed]:
    return Slowed(0.05, tests), Slowed(0.10, tests)


SITUATIONS = (
    Situation("own spread 0.3%", own=0.003),
    Situation("own spread 0.8%"),
    Situation("own spread 2%", own=0.02),
    Situation("own spread 3%", own=0.03),
    Situation("own spread 0.8%, judged next day, nothing moves", later=DAY),
    Situation("a fifth of processes 6-12% slower", modes=(Mode(0.2, (0.06, 0.12), whole_process=True),)),
    Situation("a fifth of each test's processes 6-12% slower", modes=(Mode(0.2, (0.06, 0.12)),)),
    Situation("a tenth of each test's processes 6-12% slower", modes=(Mode(0.1, (0.06, 0.12)),)),
    Situation("another day moves all by 5%, canaries see all", movements=(Movement(normal(0.05)),), later=DAY),
    Situation(
        "another day moves all by 5%, canaries see half", movements=(Movement(normal(0.05), seen=HALF_SEEN),), later=DAY
    ),
    Situation(
        "another day moves all by 5%, canaries see nothing",
        movements=(Movement(normal(0.05), seen=UNSEEN),),
        later=DAY,
    ),
    Situation(
        "all moves by 5% within the hour, canaries see half", movements=(Movement(normal(0.05), seen=HALF_SEEN),)
    ),
    Situation(
        "another day unseen, baseline over 5 days",
        movements=(Movement(normal(0.05), seen=UNSEEN),),
        later=DAY,
        baseline_days=5,
    ),
    Situation("another card 4% apart, canaries see it", movements=(Movement(either_way(0.04)),), card="B"),
    Situation(
        "another card 4% apart, tests feel half to one and a half of it",
        movements=(Movement(either_way(0.04), felt=(0.5, 1.5)),),
        card="B",
    ),
    Situation("two of three canaries 5% slower today", canary_today=(0.05, 0.05, 0.0)),
    Situation("two of three canaries 5% faster today", canary_today=(-0.05, -0.05, 0.0)),
    Situation("all canaries 5% faster today", canary_today=(-0.05, -0.05, -0.05)),
    Situation("a neighbour takes 20-60%, in half the suites all day", movements=(NEIGHBOUR,)),
    Situation("sticky neighbour 2-8%", movements=(Movement(between(0.02, 0.08), felt=(0.5, 1.0), seen=(0.0, 1.0)),)),
    Situation("sticky neighbour 20-60%", movements=(Movement(between(0.2, 0.6), felt=(0.5, 1.0), seen=(0.0, 1.0)),)),
    Situation("drift 3% in a session, one new test in front", drift=0.03, new_in_front=1),
    Situation("drift 6% in a session", drift=0.06),
    Situation("drift 6% in a session, 8 new tests in front", drift=0.06, new_in_front=8),
    Situation("drift 6% faster in a session, 8 new tests in front", drift=-0.06, new_in_front=8),
    Situation("2% of each test's sessions 30% slower", modes=(Mode(0.02, (0.3, 0.3)),)),
    Situation("2% of whole sessions 50% slower", odd_sessions=0.02),
    Situation("only a part slower", slowed=(Slowed(0.5, blocks=8), Slowed(0.2, blocks=13))),
    Situation("timer steps of 0.5 us at 9 us", own=0.003, seconds=9e-6, tick=0.5e-6, jitter=0.006),
    Situation("machine 2% slower, canaries see it", movements=(Movement(always(0.02)),)),
    Situation("heavy tails: t with 3 degrees of freedom, 0.8%", heavy=True),
    Situation("heavy tails, 2%", own=0.02, heavy=True),
    Situation("creep of 0.5% a session, unseen", creep=0.005),
    Situation("canaries noisy by 10% by themselves", canary_noise=(0.1, 0.1, 0.1)),
    Situation("one canary noisy by 10%", canary_noise=(0.003, 0.003, 0.1)),
    Situation("whole suite slower", slowed=slowed(1.0)),
    Situation(
        "whole suite slower, another day, canaries see half",
        movements=(Movement(normal(0.05), seen=HALF_SEEN),),
        later=DAY,
        slowed=slowed(1.0),
    ),
    Situation("half the suite slower, two canaries 5% slower today", canary_today=(0.05, 0.05, 0), slowed=slowed(0.5)),
    Situation("40% of the suite slower", slowed=slowed(0.4)),
    Situation("60% of the suite slower", slowed=slowed(0.6)),
    Situation("one case spreads by 80%, counted are the others", own=0.005, wild=0.6, sizes=(2, 4, 8)),
    Situation("the place of its tree moves each side by 0.5%", layout=0.005),
    Situation(
        "all at once: another day half seen, modes, heavy tails, a noisy canary, a neighbour",
        own=0.01,
        heavy=True,
        modes=(Mode(0.05, (0.06, 0.12)),),
        movements=(Movement(normal(0.05), seen=HALF_SEEN), NEIGHBOUR),
        canary_noise=(0.003, 0.01, 0.1),
        later=DAY,
    ),
)


@dataclass(frozen=True)
class Cell:
    situation: Situation
    tests: int
    turns: bool
    suites: int
    baseline: int


def tally(cell: Cell, put_in: Slowed | None) -> Counter[str]:
    found: Counter[str] = Counter()
    for drawn in suites(cell.situation, cell.tests, put_in, cell.suites, cell.baseline):
        words = gate_corpus.suite(drawn.cases, drawn.canaries, drawn.turns if cell.turns else None)
        found["failed"] += "regressed" in words.values()
        found["failed by the suite"] += words.pop(SUITE, None) == "regressed"
        for name, word in words.items():
            if name == "0" and cell.situation.wild:
                continue
            found[f"slower {word}" if name in drawn.slowed else f"same {word}"] += 1
        found.update(cost(drawn))
    return found


def cost(drawn: Drawn) -> dict[str, int]:
    """What the gate asked for."""
    fresh = {name for name, (_, now) in drawn.cases.items() if now.read > 1}
    launches = [took.read for took in drawn.turns.given.values()]
    return {
        "again": len(fresh | drawn.turns.given.keys()),
        "sessions": max(now.read for _, now in drawn.cases.values()) - 1,
        "launches": max(launches, default=0),
    }


def row(cell: Cell) -> str:
    same, *slower = (tally(cell, put_in) for put_in in (None, *cell.situation.slowed))
    count = cell.suites
    cells = [cell.situation.name, str(cell.tests), "with" if cell.turns else "without", share(same["failed"], count)]
    cells += [f"{100 * same['failed by the suite'] / count:.0f}%"]
    cells += [hits(s, put_in, count) for s, put_in in zip(slower, cell.situation.slowed, strict=True)]
    cells += [of(same, "same", "inconclusive")]
    cells += [" / ".join(of(s, "slower", "unchanged") for s in slower)]
    cells += [f"{100 * same['again'] / count / cell.tests:.0f}%"]
    cells += [f"{same['sessions'] / count:.1f}", f"{same['launches'] / count:.1f}"]
    return "| " + " | ".join(cells) + " |"


def of(seen: Counter[str], kind: str, word: str) -> str:
    total = sum(n for what, n in seen.items() if what.startswith(kind))
    return f"{100 * seen[f'{kind} {word}'] / total:.1f}%" if total else "-"


def hits(seen: Counter[str], put_in: Slowed, count: int) -> str:
    """How many of the slowed cases were found; where several were slowed, how many suites failed too."""
    shown = of(seen, "slower", "regressed")
    usual = str(put_in) in {"one by 5%", "one by 10%"}
    suites_too = f", {100 * seen['failed'] / count:.0f}% of suites" if put_in.tests else ""
    return shown + ("" if usual else f" ({put_in}{suites_too})")


def cells(arguments: argparse.Namespace) -> Iterator[Cell]:
    for situation in SITUATIONS:
        if arguments.only in situation.name:
            with_turns = [t == "with" for t in arguments.turns]
            for tests, turns in product(situation.sizes or arguments.sizes, with_turns):
                yield Cell(situation, tests, turns, arguments.suites, arguments.baseline)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 8, 24, 200])
    parser.add_argument("--turns", nargs="*", choices=["with", "without"], default=["with", "without"])
    parser.add_argument("--baseline", type=int, default=BASELINE, help="sessions of the baseline")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="of a situation's name")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print("| situation | tests | turns | suites failed, nothing slower | by the suite's word | 5% in one case found | "
          "10% in one case found | unchanged cases inconclusive | slower case called unchanged, 5% / 10% | "
          "measured again | fresh sessions a suite | launches a suite |")  # fmt: skip
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    wanted = list(cells(arguments))
    with Pool(arguments.processes) as pool:
        for line in pool.imap(row, wanted):
            print(line, flush=True)


if __name__ == "__main__":
    main()
