"""What a machine does to a suite of tests, drawn many suites at once: a situation, its sessions, canaries and launches.

All figures are fractions of the time; inside they are added as logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

import numpy as np
from gate_suites import CANARIES, seeded
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[..., Floats]  # (generator, size=shape): logarithms. No lambdas, since other processes get them
Range = tuple[float, float]

BLOCKS, ROUNDS, READINGS = 16, 12, 8
PER_BLOCK, PER_ROUND = 3, 8  # samples, where a coarse timer makes single samples matter
TODAY = 5  # sessions of the candidate: the judged one, and as many as a gate may ask for
LAUNCHES = 20
CONFIRMED = 6  # tests that a confirmation measures, as far as the drift within its sessions is concerned
PROCESS = 0.7  # of a case's own spread between sessions comes with the process, which turns cannot cancel
WARMING = 5.0  # tests in which a drift within a session comes nearer to its size by the factor e
START, APART, DAY = 1.75e9, 300.0, 86400.0  # seconds
AT_ONCE = 1_000_000  # blocks drawn together, to bound the memory


def normal(spread: float) -> Draw:
    return partial(np.random.Generator.normal, loc=0.0, scale=spread)


def between(low: float, high: float) -> Draw:
    return partial(np.random.Generator.uniform, low=np.log1p(low), high=np.log1p(high))


def always(size: float) -> Draw:
    return between(size, size)


def either_way(size: float) -> Draw:
    return partial(np.random.Generator.choice, a=(-np.log1p(size), np.log1p(size)))


@dataclass(frozen=True)
class Slowed:
    """What is put into the code."""

    by: float
    tests: float = 0.0  # the share of the suite, and at least one test
    blocks: int = BLOCKS  # the last ones of a session

    def __str__(self) -> str:
        where = "one" if not self.tests else f"{self.tests:.0%}"
        return f"{where} by {self.by:.0%}" + (f" in {self.blocks} of {BLOCKS} blocks" if self.blocks < BLOCKS else "")


@dataclass(frozen=True)
class Mode:
    """A state in which some processes run slower. Each case has its own gap, drawn once."""

    share: float
    gap: Range
    whole_process: bool = False  # all tests of a process fall into it together


@dataclass(frozen=True)
class Movement:
    """What moves everything today: another day, another card, a neighbour."""

    size: Draw
    felt: Range = (1.0, 1.0)  # the share of it that reaches a test
    seen: Range = (1.0, 1.0)  # ... and a canary
    stays: float = 1.0  # the share of suites in which it lasts; in the others the judged session alone has it
    restless: bool = False  # it comes and goes: its size differs from session to session and from round to round


@dataclass(frozen=True)
class Situation:
    name: str
    own: float = 0.008  # standard deviation between sessions of one case
    wild: float = 0.0  # ... of the first case, where it is another one's
    heavy: bool = False  # own differences are drawn from Student's t with 3 degrees of freedom
    shared: float = 0.003  # standard deviation of what a session does to all of its tests and canaries
    modes: tuple[Mode, ...] = ()
    movements: tuple[Movement, ...] = ()
    baseline_days: int = 1  # on each of several days the movements are drawn anew
    later: float = 0.0  # seconds from the baseline's last session to today, beyond the usual
    card: str = "A"  # today's; the baseline's is A
    canary_noise: tuple[float, float, float] = (0.003, 0.003, 0.003)
    canary_today: tuple[float, float, float] = (0.0, 0.0, 0.0)
    drift: float = 0.0  # what a test late in a session takes longer than the first one
    new_in_front: int = 0  # tests that the candidate has before those of the baseline
    creep: float = 0.0  # from each session to the next one, unseen by canaries
    odd_sessions: float = 0.0  # share of whole sessions that are slower by a half, canaries not
    jitter: float = 0.004  # of a block's median
    seconds: float = 400e-6
    tick: float = 0.0  # the timer's step, in seconds
    layout: float = 0.0  # standard deviation of what the place of its tree does to each side in turns, always alike
    slowed: tuple[Slowed, Slowed] = (Slowed(0.05), Slowed(0.10))
    sizes: tuple[int, ...] = ()  # of suites, where the situation is about them


class Counted(Sequence[Any]):
    """A sequence that knows how far it was read."""

    def __init__(self, make: Callable[[int], Any], size: int) -> None:
        self.make, self.size, self.read = make, size, 0

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self.size))]
        at = range(self.size)[at]
        self.read = max(self.read, at + 1)
        return self.make(at)


@dataclass(frozen=True)
class Drawn:
    """One suite, and which of its tests were slowed."""

    cases: Mapping[str, tuple[list[dict[str, Any]], Counted]]
    canaries: Mapping[str, Mapping[str, list[float]]]
    turns: Turns
    slowed: frozenset[str]


class Turns:
    """Launches of both revisions of one suite. Days, cards and canaries cancel; what comes with a process does not."""

    def __init__(self, model: Model, suite: int) -> None:
        self.model, self.suite = model, suite
        self.given: dict[str, Counted] = {}

    def __call__(self, names: Sequence[str]) -> dict[str, Counted]:
        for name in names:
            if name not in self.given:
                sides = self.model.launches(self.suite, int(name))
                self.given[name] = Counted(partial(_launch, sides), LAUNCHES)
        return {name: self.given[name] for name in names}


def _launch(sides: Floats, at: int) -> tuple[list[float], list[float]]:
    return sides[at, 0].tolist(), sides[at, 1].tolist()


def suites(situation: Situation, tests: int, slowed: Slowed | None, count: int, baseline: int) -> Iterator[Drawn]:
    """Suites of one cell of the table; the same ones whenever it is drawn."""
    each = max(1, AT_ONCE // (tests * (baseline + TODAY) * BLOCKS))
    for start in range(0, count, each):
        key = (situation.name, tests, str(slowed), start)
        yield from Model(situation, tests, slowed, min(each, count - start), baseline, key).suites()


class Model:
    """Everything that is drawn for some suites at once: arrays of (suite, test, session, block)."""

    def __init__(
        self,
        situation: Situation,
        tests: int,
        slowed: Slowed | None,
        count: int,
        baseline: int,
        key: tuple[object, ...],
    ) -> None:
        self.situation, self.tests, self.count, self.baseline, self.key = situation, tests, count, baseline, key
        self.sessions = baseline + TODAY
        self.now = np.arange(self.sessions) >= baseline
        self.rng = rng = seeded(*key)
        self.base = np.log(situation.seconds) + rng.uniform(-0.35, 0.35, (count, tests))
        self.spread = np.full(tests, situation.own)
        self.spread[0] = situation.wild or situation.own
        self.slow, self.which = self._slow(slowed)
        self.gaps = [np.log1p(rng.uniform(*m.gap, (count, tests))) for m in situation.modes]
        self.felt = [rng.uniform(*m.felt, (count, tests)) for m in situation.movements]
        self.lasts = [rng.random(count) < m.stays for m in situation.movements]
        self.sizes = [self._sizes(m, lasts) for m, lasts in zip(situation.movements, self.lasts, strict=True)]

    def suites(self) -> Iterator[Drawn]:
        names = [f"then{i}" for i in range(self.baseline)] + [f"now{i}" for i in range(TODAY)]
        machine = self.rng.normal(0, self.situation.shared, (self.count, self.sessions))
        seconds = self._seconds(machine)
        readings = self._readings(machine)
        times = self._times()
        for suite in range(self.count):
            rows = seconds[suite]

            def session(test: int, at: int, rows: Floats = rows) -> dict[str, Any]:
                now = at >= self.baseline
                return {
                    "id": names[at],
                    "time": times[at],
                    "card": self.situation.card if now else "A",
                    "revision": "head" if now else "base",
                    "samples": rows[test, at].tolist(),
                }

            cases = {
                str(t): (
                    [session(t, i) for i in range(self.baseline)],
                    Counted(lambda i, t=t, session=session: session(t, self.baseline + i), TODAY),
                )
                for t in range(self.tests)
            }
            told: dict[str, dict[str, Any]] = {
                n: dict(zip(CANARIES, r, strict=True)) for n, r in zip(names, readings[suite].tolist(), strict=True)
            }
            slowed = frozenset(str(t) for t in np.flatnonzero(self.which[suite]))
            yield Drawn(cases, told, Turns(self, suite), slowed)

    def launches(self, suite: int, test: int) -> Floats:
        """Medians of rounds in seconds: (launch, side, round)."""
        situation, rng = self.situation, seeded(*self.key, suite, test)
        processes, rounds = (LAUNCHES, 2, 1), (LAUNCHES, 2, ROUNDS)
        logs = self.base[suite, test] + PROCESS * self.spread[test] * self._differences(rng, processes)
        logs = logs + situation.layout * rng.normal(size=(1, 2, 1))
        for mode, gaps in zip(situation.modes, self.gaps, strict=True):
            dice = seeded(*self.key, suite) if mode.whole_process else rng
            logs = logs + gaps[suite, test] * (dice.random(processes) < mode.share)
        for movement, felt, lasts in zip(situation.movements, self.felt, self.lasts, strict=True):
            if movement.restless and lasts[suite]:
                load = felt[suite, test] * movement.size(rng, size=(LAUNCHES, 1, 1))
                both, each = rng.random((LAUNCHES, 1, ROUNDS)), rng.normal(0, 0.15, rounds)
                logs = logs + load * np.maximum(both + each, 0.0)
        slow = self.slow[suite, test, np.arange(ROUNDS) * BLOCKS // ROUNDS]
        logs = logs + np.array([[0.0], [1.0]]) * slow
        return np.median(self._timed(rng, logs, PER_ROUND), axis=-1)

    def _slow(self, slowed: Slowed | None) -> tuple[Floats, NDArray[np.bool_]]:
        which = np.zeros((self.count, self.tests), dtype=np.bool_)
        slow = np.zeros((self.count, self.tests, BLOCKS))
        if slowed is None:
            return slow, which
        hit = max(1, round(slowed.tests * self.tests))
        order = self.rng.permuted(np.tile(np.arange(self.tests), (self.count, 1)), axis=1)
        if self.situation.wild:  # slow is what can be seen
            order = np.tile(np.arange(self.tests)[::-1], (self.count, 1))
        np.put_along_axis(which, order[:, :hit], values=True, axis=1)
        slow[which] = np.where(np.arange(BLOCKS) >= BLOCKS - slowed.blocks, np.log1p(slowed.by), 0.0)
        return slow, which

    def _sizes(self, movement: Movement, lasts: NDArray[np.bool_]) -> Floats:
        """Of one movement: (suite, session)."""
        sizes = np.repeat(movement.size(self.rng, size=(self.count, 1)), self.sessions, axis=1)
        if movement.restless:
            sizes = movement.size(self.rng, size=(self.count, self.sessions))
        today = self.now & (lasts[:, None] | (np.arange(self.sessions) == self.baseline))
        if self.situation.baseline_days == 1:
            return np.where(today, sizes, 0.0)
        days = np.arange(self.baseline) * self.situation.baseline_days // self.baseline
        before = movement.size(self.rng, size=(self.count, self.situation.baseline_days))[:, days]
        return np.concatenate([before, np.where(today, sizes, 0.0)[:, self.baseline :]], axis=1)

    def _times(self) -> list[float]:
        days = self.situation.baseline_days
        then = [START + i * APART + DAY * (i * days // self.baseline) for i in range(self.baseline)]
        return then + [then[-1] + self.situation.later + (i + 1) * APART for i in range(TODAY)]

    def _differences(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return rng.standard_t(3, shape) / np.sqrt(3) if self.situation.heavy else rng.normal(size=shape)

    def _seconds(self, machine: Floats) -> Floats:
        """Samples of all sessions."""
        situation, rng = self.situation, self.rng
        shape = (self.count, self.tests, self.sessions)
        logs = self.base[:, :, None] + machine[:, None] + self.spread[:, None] * self._differences(rng, shape)
        for mode, gaps in zip(situation.modes, self.gaps, strict=True):
            fell = rng.random((self.count, 1, self.sessions) if mode.whole_process else shape) < mode.share
            logs = logs + gaps[:, :, None] * fell
        for felt, sizes in zip(self.felt, self.sizes, strict=True):
            logs = logs + felt[:, :, None] * sizes[:, None]
        odd = rng.random((self.count, 1, self.sessions)) < situation.odd_sessions
        logs = logs + np.log(1.5) * odd + situation.creep * np.arange(self.sessions)
        in_front = self.situation.new_in_front * (np.arange(self.sessions) == self.baseline)
        logs = logs + self._drift(np.arange(self.tests)[:, None] + in_front)
        logs = logs[..., None] + self.now[:, None] * self.slow[:, :, None]
        return self._timed(rng, logs, PER_BLOCK).reshape(*shape, -1)

    def _drift(self, position: Any) -> Floats:
        """What being measured so late costs, in each session: a confirmation measures few tests, and so early ones."""
        confirms = np.arange(self.sessions) > self.baseline
        position = position * np.where(confirms, min(1.0, CONFIRMED / self.tests), 1.0)
        return self.situation.drift * (1 - np.exp(-position / WARMING))

    def _readings(self, machine: Floats) -> Floats:
        """Of canaries: (suite, session, canary, reading), in seconds."""
        situation, rng = self.situation, self.rng
        shape = (self.count, self.sessions, len(CANARIES))
        logs = machine[:, :, None] + rng.normal(0, situation.canary_noise, shape)
        logs = logs + np.log1p(situation.canary_today) * self.now[:, None]
        for movement, sizes in zip(situation.movements, self.sizes, strict=True):
            seen = rng.uniform(*movement.seen, (self.count, 1, len(CANARIES)))
            logs = logs + seen * sizes[:, :, None]
        in_front = situation.new_in_front * (np.arange(self.sessions) == self.baseline)
        drift = self._drift(np.linspace(0, 1, READINGS)[:, None] * (self.tests - 1 + in_front)).T
        logs = logs[..., None] + drift[:, None]
        return 1e-3 * np.exp(logs + rng.normal(0, situation.jitter, (*shape, READINGS)))

    def _timed(self, rng: np.random.Generator, logs: Floats, samples: int) -> Floats:
        """What a timer shows: one figure a block, or single samples where its step is coarse."""
        samples = samples if self.situation.tick else 1
        shape = (*np.broadcast_shapes(logs.shape), samples)
        noise = rng.normal(0, self.situation.jitter * np.sqrt(samples), shape)
        late = (rng.random(shape) < 0.03) * rng.exponential(0.05, shape)
        seconds = np.exp(logs[..., None] + noise + late)
        tick = self.situation.tick
        return np.maximum(np.round(seconds / tick), 1) * tick if tick else seconds
