"""How often this gate is wrong here: the suite against itself, and against itself made slower by a known share."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pytest_gpuperf.comparison.acceptance import accept
from pytest_gpuperf.comparison.compare import compare, suspects_in
from pytest_gpuperf.comparison.findings import Comparison
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.certificate import Level, Selftest
from pytest_gpuperf.records.merge import with_sessions_of
from pytest_gpuperf.records.model import Baseline, Run, Word
from pytest_gpuperf.sessions.process import run_session

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
BASELINE_SESSIONS = 5
CONFIRMATIONS = 2
REFERENCES = 3
Progress = Callable[[int, int, float], None]


def selftest(
    rounds: int,
    arguments: Sequence[str],
    *,
    slowdowns: Sequence[float] = SLOWDOWNS,
    directory: Path | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Selftest:
    """Record a baseline, then every slow-down once a round in an order drawn anew, each in a fresh process; judge all.

    A suspect's confirmations are the following rounds' sessions of the same slow-down, so `rounds` is at least 3.
    """
    check_rounds(rounds)
    started = time.monotonic()
    total = BASELINE_SESSIONS + rounds * len(slowdowns)
    recorded: list[Run] = []
    by_level: dict[float, list[Run]] = {level: [] for level in slowdowns}
    for slowdown in _order(rounds, slowdowns, random.Random(seed)):  # noqa: S311 - no secret
        run = run_session(arguments, slowdown=slowdown or 0.0, directory=directory)
        recorded.append(run)
        if slowdown is not None:
            by_level[slowdown].append(run)
        if progress is not None:
            progress(len(recorded), total, time.monotonic() - started)
    baseline = accept(None, recorded[:BASELINE_SESSIONS], {}).baseline
    return Selftest(
        environment=recorded[-1].environment,
        cases=tuple(c.id for c in baseline.cases),
        baseline_sessions=BASELINE_SESSIONS,
        rounds=rounds,
        seconds=time.monotonic() - started,
        levels=tuple(_judge_level(level, runs, baseline) for level, runs in by_level.items()),
    )


def check_rounds(rounds: int) -> None:
    """Refuse what cannot be judged."""
    if rounds <= CONFIRMATIONS:
        raise UsageError(f"selftest needs at least {CONFIRMATIONS + 1} rounds, since suspects are measured again.")


def _order(rounds: int, slowdowns: Sequence[float], draw: random.Random) -> Iterator[float | None]:
    """None for a baseline session, then each round's slow-downs in an order of its own."""
    yield from [None] * BASELINE_SESSIONS
    for _ in range(rounds):
        yield from draw.sample(list(slowdowns), len(slowdowns))


def _judge_level(slowdown: float, runs: Sequence[Run], baseline: Baseline) -> Level:
    verdicts: Counter[Word] = Counter()
    failed = 0
    for number, run in enumerate(runs):
        again = [runs[(number + i) % len(runs)] for i in range(1, CONFIRMATIONS + 1)]
        comparison = judged(run, again, baseline)
        verdicts.update(f.verdict.word for f in comparison.timed)
        failed += any("regressed" in problem for problem in comparison.problems)
    return Level(
        slowdown=slowdown,
        comparisons=sum(verdicts.values()),
        verdicts=dict(verdicts),
        suites=len(runs),
        failed_suites=failed,
    )


def judged(run: Run, again: Sequence[Run], baseline: Baseline) -> Comparison:
    """One comparison as the plugin makes it: suspects, and a few references, get the further sessions."""
    suspicious = suspects_in(run, baseline)
    if suspicious:
        tests = {c.test for c in run.cases if c.id in suspicious}
        tests |= set([c.test for c in run.cases if c.id not in suspicious][:REFERENCES])
        run = with_sessions_of(
            run, [msgspec.structs.replace(r, cases=tuple(c for c in r.cases if c.test in tests)) for r in again]
        )
    return compare(run, baseline, name="the self-test's baseline")
