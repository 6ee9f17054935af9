"""A suite from the inside: cases with equally many sessions are one rectangle of figures, and a view of them all, as
measured or corrected, says how much sessions differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import log1p

import numpy as np

from pytest_gpuperf.gate import reasons
from pytest_gpuperf.gate.arrays import Flags, Floats, Indices
from pytest_gpuperf.gate.observations import LEAST, SEEMS_FASTER, CaseEvidence, Policy
from pytest_gpuperf.gate.reasons import CaseFigures, Whole
from pytest_gpuperf.gate.session_cost import locations, tick
from pytest_gpuperf.gate.spread import (
    BOUND,
    POOL_FROM,
    ExtraVariance,
    Spread,
    common_variance,
    day_variance,
    extra_variance,
    margin_for_error,
    spread_of,
    student,
)
from pytest_gpuperf.records.model import Word

Words = list[Word]

GROSS = {1: 0.25, 2: 0.15}  # with so few baseline sessions only a change beyond this is believed
ROBUST_FROM = 5  # baseline sessions from which on one of them may be an outlier
_BEYOND_SHARE = 0.5  # of what a shift exceeds all of the baseline's by: the cases may share so much of it
SUITE_FROM = 4  # cases from which on the suite as a whole has a verdict: fewer speak for themselves
_COMMON_USUAL = 0.003  # what sessions share, believed before there is any ...
_COMMON_WEIGHT = 3.0  # ... as much as this many degrees of freedom


class SuiteSessions:
    """All sessions of all cases, one after the other: what each took, whose it is, and on which side it stands."""

    def __init__(self, cases: Mapping[str, CaseEvidence], policy: Policy) -> None:
        self.cases = cases
        self.policy = policy
        self.names = list(cases)
        every = [s for c in cases.values() for s in (*c.baseline, *c.candidate)]
        self.raw, self.steps = locations(every)
        self.before: Indices = np.array([len(c.baseline) for c in cases.values()])
        self.now: Indices = np.array([len(c.candidate) for c in cases.values()])
        sizes = self.before + self.now
        self.starts: Indices = np.cumsum(sizes) - sizes
        self.index: dict[str, int] = {}  # session id -> its number
        self.session: Indices = np.array([self.index.setdefault(s.id, len(self.index)) for s in every])
        self.owner: Indices = np.repeat(np.arange(len(cases)), sizes)
        self.in_baseline: Flags = np.arange(int(sizes.sum())) - np.repeat(self.starts, sizes) < np.repeat(
            self.before, sizes
        )
        times = [s.time for s in every]
        self.times: Floats | None = None if None in times else np.array(times, dtype=np.float64)
        self.alpha = (1 - policy.confidence) / max((policy.comparisons or len(cases)) + 1, LEAST)
        self.extra_variances = _extra_variances(cases.values())
        self.shapes = self._shapes()

    @property
    def few(self) -> int:
        """How many baseline sessions the cases have."""
        return int(np.median(self.before))

    def _shapes(self) -> list[tuple[Indices, int, int]]:
        """Cases with the same numbers of sessions, so that each group is one rectangle of figures."""
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, shape in enumerate(zip(self.before.tolist(), self.now.tolist(), strict=True)):
            shapes[shape].append(i)
        return [(np.array(at), *shape) for shape, at in shapes.items()]


def _extra_variances(cases: Iterable[CaseEvidence]) -> tuple[Floats, Floats]:
    """What days and cards add to each case. Cases share their sessions, so each combination is computed once."""
    by_sessions: dict[tuple[object, ...], ExtraVariance] = {}
    extras: list[ExtraVariance] = []
    for case in cases:
        key = (
            *((s.id, s.time, s.card) for s in case.baseline),
            None,
            *((s.id, s.time, s.card) for s in case.candidate),
        )
        if key not in by_sessions:
            by_sessions[key] = extra_variance(case.baseline, case.candidate)
        extras.append(by_sessions[key])
    return np.array([e.days for e in extras]), np.array([e.always for e in extras])


class Group:
    """Cases with equally many sessions on each side."""

    def __init__(self, view: View, at: Indices, before: int, now: int) -> None:
        suite, figures, spread = view.suite, view.figures, view.spread
        self.suite, self.k, self.c = suite, before, now
        self.names: list[str] = [suite.names[i] for i in at]
        rows = suite.starts[at][:, None] + np.arange(before + now)
        values = figures.values[rows]
        self.baseline, self.candidate = values[:, :before], values[:, before:]
        self.centre = _centre(self.baseline)
        self.change = _centre(self.candidate) - self.centre
        self.fresh_change = _centre(self.candidate[:, 1:]) - self.centre if now > 1 else self.change
        cases = [suite.cases[n] for n in self.names]
        self.policies = [c.policy or suite.policy for c in cases]
        self.tolerance = np.log1p([p.tolerance for p in self.policies])
        days, always = (part[at] for part in suite.extra_variances)
        self.extra = days * view.day_variance + always
        if figures.shift is not None:
            shift = figures.shift[rows]
            moved = shift[:, before:].mean(axis=1) - shift[:, :before].mean(axis=1)
            self.extra = self.extra + figures.share_variance * moved**2 + (_BEYOND_SHARE * figures.beyond) ** 2
        self.variance = spread.own[at] + spread.common
        part = Spread(spread.own[at], spread.own_freedom[at], spread.common, spread.common_freedom)
        self.error, self.freedom = part.standard_error(np.full(len(at), 1 / before + 1 / now), self.extra)
        self.strict = student(1 - suite.alpha, self.freedom)
        self.usual = student(BOUND, self.freedom)
        self.least, most = np.log1p(np.array([p.margins for p in self.policies]).reshape(-1, 2).T)
        self.margin = margin_for_error(self.error, self.freedom, self.least, most)
        step = tick(suite.raw[rows], suite.steps[rows])
        # Two values a tick apart, by chance all high here and low there: p^c (1-p)^k at its worst.
        chance = before**before * now**now / (before + now) ** (before + now) if before + now < 60 else 0.0
        # Medians of even counts show half of the timer's step: two such steps are one of the timer's.
        self.step = np.where(suite.alpha < chance, 2 * step, 0.0)

    @property
    def limit(self) -> Floats:
        """The smallest change this evidence can convict of."""
        limit = np.maximum(np.maximum(self.strict * self.error, self.tolerance), self.step * 1.001)
        return limit * 2 if self.c == 1 else limit

    def find_suspects(self) -> set[str]:
        """The cases to measure again: all that are not clear.

        A case is clear if it improved, or if it is unchanged and either within its tolerance or surely below the least
        margin.
        """
        words = self._gross() if self.k in GROSS else self._words()
        within = (self.change < self.tolerance) | (self.change + self.usual * self.error < self.least)
        return {
            name
            for name, word, is_within in zip(self.names, words, within.tolist(), strict=True)
            if not (word == "improved" or (word == "unchanged" and is_within))
        }

    def judged(self) -> dict[str, CaseFigures]:
        """The figures and the word of each case."""
        words = self._gross() if self.k in GROSS else self._words()
        further = reasons.further_sessions(self.k, self.variance, self.extra, self.strict, self.margin)
        spread, limit = np.sqrt(self.variance), self.limit
        return {
            name: CaseFigures(
                word=words[i],
                centre=float(self.centre[i]),
                change=float(self.change[i]),
                half=float(self.usual[i] * self.error[i]),
                limit=float(limit[i]),
                margin=float(self.margin[i]),
                spread=float(spread[i]),
                baseline=self.k,
                candidate=self.c,
                gross=GROSS.get(self.k),
                further=int(further[i]),
                policy=self.policies[i],
            )
            for i, name in enumerate(self.names)
        }

    def _gross(self) -> Words:
        gross = np.maximum(np.log1p(GROSS[self.k]), self.limit)
        nothing = np.zeros(len(self.names), dtype=np.bool_)
        return _words_for(self.change > gross, self.change < -gross, nothing)

    def _words(self) -> Words:
        ordered = np.sort(self.baseline, axis=1)
        spared = int(self.k >= ROBUST_FROM)  # one session of enough may be an outlier
        apart = self.candidate.min(axis=1) > ordered[:, -1 - spared]
        below = self.candidate.max(axis=1) < ordered[:, spared]
        slower = (self.change > self.limit) & (self.fresh_change > self.tolerance) & apart
        faster = (-self.change > self.limit) & (-self.fresh_change > self.tolerance) & below
        bound = self.usual * self.error
        unchanged = (self.change + bound < self.margin) & (self.change > -SEEMS_FASTER * self.margin)
        return _words_for(slower, faster, unchanged)


def _words_for(slower: Flags, faster: Flags, unchanged: Flags) -> Words:
    return [
        "regressed" if s else "improved" if f else "unchanged" if u else "inconclusive"
        for s, f, u in zip(slower.tolist(), faster.tolist(), unchanged.tolist(), strict=True)
    ]


def _centre(sessions: Floats) -> Floats:
    """The middle of each case's sessions, which no single one of three or more can move far.

    From five on it is Hodges and Lehmann's: the median of the means of all pairs.
    """
    count = sessions.shape[1]
    if count < ROBUST_FROM:
        return np.median(sessions, axis=1)
    one, other = np.triu_indices(count)
    return np.median((sessions[:, one] + sessions[:, other]) / 2, axis=1)


@dataclass(frozen=True)
class Figures:
    """One log cost a session of each case, and what a correction adds to their uncertainty."""

    values: Floats
    shift: Floats | None = None  # of the machine in each, where it was taken off
    share_variance: float = 0.0  # of how much of it the cases share
    shift_variance: float = 0.0  # of the shift itself
    beyond: float = 0.0  # by how much the shift is larger than any that the baseline's sessions have shown


class View:
    """All cases' session figures, and how much they usually differ."""

    def __init__(self, suite: SuiteSessions, figures: Figures) -> None:
        self.suite = suite
        self.figures = figures
        self.spread = self._spread()
        self.day_variance = 0.0
        if suite.times is not None:
            self.day_variance = day_variance(figures.values, suite.owner, suite.times, suite.in_baseline)
        self.groups = [Group(self, at, before, now) for at, before, now in suite.shapes]

    def effects(self, at_least: int) -> tuple[Floats, Indices, float]:
        """What each baseline session did to all its cases; which sessions; and how many cases they had."""
        suite = self.suite
        at = np.flatnonzero(suite.in_baseline & (suite.before >= 2)[suite.owner])
        which, middles, sizes = self._middles(at, self._residuals(), at_least)
        if not which.size:
            return np.zeros(1), np.zeros(1, dtype=np.int64), 1.0
        return middles, which, float(sizes.mean())

    def moved_by_session(self) -> dict[int, float]:
        """By how much each of this run's sessions differs from the baseline: the median of its cases."""
        which, middles, _ = self._middles(np.flatnonzero(~self.suite.in_baseline), self._residuals(), 1)
        return dict(zip(which.tolist(), middles.tolist(), strict=True))

    def _middles(self, at: Indices, residuals: Floats, at_least: int) -> tuple[Indices, Floats, Floats]:
        """Sessions with so many cases, the median of those of each, and how many they are."""
        session = self.suite.session[at]
        ordered = np.argsort(session, kind="stable")
        which, first = np.unique(session[ordered], return_index=True)
        parts = np.split(residuals[at][ordered], first)[1:]
        kept = [i for i, part in enumerate(parts) if part.size >= at_least]
        middles = np.array([float(np.median(parts[i])) for i in kept])
        return which[kept], middles, np.array([float(parts[i].size) for i in kept])

    def _residuals(self) -> Floats:
        """Of every figure from the mean of its case's baseline."""
        suite, values = self.suite, self.figures.values
        at = suite.in_baseline
        sums = np.bincount(suite.owner[at], values[at], len(suite.names))
        return values - (sums / suite.before)[suite.owner]

    def _spread(self) -> Spread:
        suite, residuals = self.suite, self._residuals()
        pooled = len(suite.names) >= POOL_FROM
        effects, which, sizes = self.effects(POOL_FROM) if pooled else (np.zeros(1), np.zeros(1, dtype=np.int64), 1.0)
        by_session = np.zeros(int(suite.session.max()) + 1)
        by_session[which] = effects
        own = residuals - by_session[suite.session]
        # This run's sessions tell of the spread too, but not of the centre: that may have moved.
        now = ~suite.in_baseline
        centres = np.bincount(suite.owner[now], own[now], len(suite.names)) / suite.now
        own = np.where(now, own - centres[suite.owner], own)
        sums: Floats = np.bincount(suite.owner, own**2, len(suite.names)).astype(np.float64)
        freedom = (suite.before + suite.now - 2).astype(np.float64)
        variance, weight = spread_of(sums, freedom)
        shift_variance = self.figures.shift_variance
        if not pooled:
            return Spread(np.maximum(variance, shift_variance), weight, 0.0, 1.0)
        common, common_freedom = common_variance(effects, float(np.median(variance)), sizes)
        common = (_COMMON_WEIGHT * _COMMON_USUAL**2 + common_freedom * common) / (_COMMON_WEIGHT + common_freedom)
        return Spread(variance, weight, max(common, shift_variance), _COMMON_WEIGHT + common_freedom)

    def error(self) -> tuple[float, float]:
        """Of the median case's change, by what sessions share; and its degrees of freedom."""
        suite = self.suite
        replication = float(np.median(1 / suite.before + 1 / suite.now))
        own, own_freedom = float(np.median(self.spread.own)), float(np.median(self.spread.own_freedom))
        if len(suite.names) >= POOL_FROM:
            mine, freedom = own * 1.57 / len(suite.names) + self.spread.common, self.spread.common_freedom
        else:
            mine, freedom = own, own_freedom
        extra = float(np.median(np.concatenate([g.extra for g in self.groups])))
        return float(np.sqrt(mine * replication + extra)), freedom

    def _median(self, of: Callable[[Group], Floats]) -> float:
        return float(np.median(np.concatenate([of(g) for g in self.groups])))

    def _seems_faster(self, change: float) -> bool:
        return change < -SEEMS_FASTER * self._median(lambda g: g.margin)

    @property
    def is_suspicious(self) -> bool:
        """Whether the suite as a whole looks slower than it usually differs."""
        error, freedom = self.error()
        bound = float(student(BOUND, freedom)) * error
        return self._median(lambda g: g.change) > max(bound, log1p(GROSS.get(self.suite.few, 0.0)))

    def as_one(self) -> Whole:
        """The suite as a whole: the median case, beyond what each case's own policy allows."""
        again = [g for g in self.groups if g.c > 1]
        confirmed = sum(len(g.names) for g in again) >= SUITE_FROM
        change, (error, freedom) = self._median(lambda g: g.change), self.error()
        strict, usual = (float(student(p, freedom)) * error for p in (1 - self.suite.alpha, BOUND))
        gross = GROSS.get(self.suite.few)
        limit = max(strict, log1p(gross or 0.0))
        limit = limit if confirmed else 2 * limit  # as for a case: one session, never repeated, is little
        fresh = np.concatenate([g.fresh_change - g.tolerance for g in again]) if confirmed else np.zeros(1)
        slower = change > limit and (not confirmed or float(np.median(fresh)) > 0)
        word: Word = "inconclusive"
        if slower and self._median(lambda g: g.change - g.tolerance) > 0:
            word = "regressed"
        elif -change > limit and self._median(lambda g: -g.change - g.tolerance) > 0:
            word = "improved"
        elif self._median(lambda g: g.change - g.margin) + usual < 0 and not (gross or self._seems_faster(change)):
            word = "unchanged"
        return Whole(
            word=word,
            change=change,
            half=usual,
            limit=max(limit, self._median(lambda g: g.tolerance)),
            sessions=self.suite.few,
        )
