"""How often this gate is wrong here: the suite against itself, and against itself made slower by a known share."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pytest_gpuperf.analysis.acceptance import accept
from pytest_gpuperf.analysis.comparison import Comparison, compare, suspects
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.results.merging import with_sessions_of
from pytest_gpuperf.results.records import Baseline, Environment, Record, Run, Word
from pytest_gpuperf.sessions.process import run_session

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
BASELINE_SESSIONS = 5
CONFIRMATIONS = 2
REFERENCES = 3
Progress = Callable[[int, int, float], None]


class Level(Record, frozen=True, kw_only=True):
    """What the gate said of every case at one injected slow-down."""

    slowdown: float  # 0 is the suite against itself
    comparisons: int  # cases x rounds
    verdicts: dict[Word, int]
    suites: int  # rounds
    failed_suites: int  # rounds in which at least one case, or the suite as a whole, regressed

    @property
    def detected(self) -> float:
        """The share of cases called regressed: at 0 the false alarms."""
        return self.verdicts.get("regressed", 0) / self.comparisons

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval (Wilson); rounds share one baseline, so it is optimistic."""
        return wilson(self.verdicts.get("regressed", 0), self.comparisons)


class Selftest(Record, frozen=True, kw_only=True):
    """The gate's own figures on one machine, in one hour."""

    environment: Environment
    cases: tuple[str, ...]
    baseline_sessions: int
    rounds: int
    seconds: float
    levels: tuple[Level, ...]

    @property
    def smallest_seen(self) -> float | None:
        """The smallest injected slow-down that was found in at least 80 % of the comparisons."""
        return next((v.slowdown for v in self.levels if v.slowdown and v.detected >= 0.8), None)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share."""
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def selftest(
    rounds: int,
    arguments: Sequence[str],
    *,
    directory: Path | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Selftest:
    """Record a baseline, then every slow-down once a round in an order drawn anew, each in a fresh process; judge all.

    A suspect's confirmations are the following rounds' sessions of the same slow-down, so `rounds` is at least 3.
    """
    if rounds <= CONFIRMATIONS:
        raise UsageError(f"selftest needs at least {CONFIRMATIONS + 1} rounds, since suspects are measured again.")
    started = time.monotonic()
    total = BASELINE_SESSIONS + rounds * len(SLOWDOWNS)
    recorded: list[Run] = []
    by_level: dict[float, list[Run]] = {level: [] for level in SLOWDOWNS}
    for slowdown in _order(rounds, random.Random(seed)):  # noqa: S311 - no secret
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


def _order(rounds: int, draw: random.Random) -> Iterator[float | None]:
    """None for a baseline session, then each round's slow-downs in an order of its own."""
    yield from [None] * BASELINE_SESSIONS
    for _ in range(rounds):
        yield from draw.sample(SLOWDOWNS, len(SLOWDOWNS))


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
    suspicious = suspects(run, baseline)
    if suspicious:
        tests = {c.test for c in run.cases if c.id in suspicious}
        tests |= set([c.test for c in run.cases if c.id not in suspicious][:REFERENCES])
        run = with_sessions_of(
            run, [msgspec.structs.replace(r, cases=tuple(c for c in r.cases if c.test in tests)) for r in again]
        )
    return compare(run, baseline, name="the self-test's baseline")
