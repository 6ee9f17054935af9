"""A suite's session figures, corrected by the canaries, and how much they usually differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from math import log1p

import numpy as np

from pytest_gpuperf.analysis import reasons
from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.canaries import machine_shifts, share_explained
from pytest_gpuperf.analysis.days import day_variance
from pytest_gpuperf.analysis.evidence import LEAST, Canaries, CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.group import GROSS, Flags, Group, Indices
from pytest_gpuperf.analysis.location import locations
from pytest_gpuperf.analysis.quantiles import student
from pytest_gpuperf.analysis.spread import POOL_FROM, Spread, common_variance, spread_of
from pytest_gpuperf.results.records import Verdict, Word

SUITE = "(suite)"  # the key of the whole suite's verdict
SUITE_FROM = 4  # cases from which on there is one: fewer speak for themselves
SUITE_SHOWN_BY = 16  # cases, at most, that are measured again because the suite as a whole is suspicious
LEAST_CORRECTED = 9  # comparisons: few cases show even less of the tail when their machine's shift is an estimate too
COMMON_USUAL = 0.003  # what sessions share once canaries are taken off, believed before any was seen ...
COMMON_WEIGHT = 3.0  # ... as much as this many degrees of freedom


class Suite:
    """All cases' session figures, corrected by the canaries, and how much they usually differ."""

    def __init__(self, cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> None:
        self.cases = cases
        self.policy = policy
        self.names = list(cases)
        everything = [s for c in cases.values() for s in (*c.baseline, *c.candidate)]
        self.raw, self.steps = locations(everything)
        self.before: Indices = np.array([len(c.baseline) for c in cases.values()])
        self.now: Indices = np.array([len(c.candidate) for c in cases.values()])
        sizes = self.before + self.now
        self.starts: Indices = np.cumsum(sizes) - sizes
        index: dict[str, int] = {}
        self.session: Indices = np.array([index.setdefault(s.id, len(index)) for s in everything])
        self.owner: Indices = np.repeat(np.arange(len(cases)), sizes)
        self.in_baseline: Flags = np.arange(int(sizes.sum())) - np.repeat(self.starts, sizes) < np.repeat(
            self.before, sizes
        )
        comparisons = policy.comparisons or len(cases)
        shifts = machine_shifts(canaries, index)
        least = LEAST if shifts is None else LEAST_CORRECTED
        self.alpha = (1 - policy.confidence) / max(comparisons + 1, least)
        self.figures = self.raw
        self.share, self.share_variance, shift_variance = 0.0, 0.0, 0.0
        self.shift: Floats = np.zeros(len(everything))
        if shifts is not None:
            shift = np.array([shifts.by_session[i] for i in index])
            effects, which, _ = self._effects(at_least=1)
            self.share, self.share_variance = share_explained(
                effects - effects.mean(), shift[which] - shift[which].mean(), shifts.variance
            )
            self.shift = shift[self.session]
            self.figures = self.raw - self.share * self.shift
            shift_variance = self.share**2 * shifts.variance
        self.spread = self._spread(shift_variance)
        self.day_variance = self._day_variance(everything)
        self.groups = self._groups()

    def _residuals(self) -> Floats:
        """Of every figure from the mean of its case's baseline."""
        at = self.in_baseline
        sums = np.bincount(self.owner[at], self.figures[at], len(self.names))
        return self.figures - (sums / self.before)[self.owner]

    def _day_variance(self, everything: Sequence[Observed]) -> float:
        times = [s.time for s in everything if s.time is not None]
        if len(times) < len(everything):
            return 0.0
        return day_variance(self.figures, self.owner, np.array(times), self.in_baseline)

    def _effects(self, at_least: int) -> tuple[Floats, Indices, float]:
        """What each baseline session did to all its cases; which sessions; and how many cases they had."""
        at = np.flatnonzero(self.in_baseline & (self.before >= 2)[self.owner])
        at = at[np.argsort(self.session[at], kind="stable")]
        residuals = self._residuals()[at]
        which, first = np.unique(self.session[at], return_index=True)
        parts = np.split(residuals, first)[1:]
        kept = [i for i, part in enumerate(parts) if part.size >= at_least]
        if not kept:
            return np.zeros(1), np.zeros(1, dtype=np.int64), 1.0
        sizes = float(np.mean([parts[i].size for i in kept]))
        return np.array([float(np.median(parts[i])) for i in kept]), which[kept], sizes

    def _spread(self, shift_variance: float) -> Spread:
        residuals = self._residuals()
        pooled = len(self.names) >= POOL_FROM
        effects, which, sizes = self._effects(POOL_FROM) if pooled else (np.zeros(1), np.zeros(1, dtype=np.int64), 1.0)
        by_session = np.zeros(int(self.session.max()) + 1)
        by_session[which] = effects
        own = residuals - by_session[self.session]
        # The candidate's sessions tell of the spread too, but not of the centre: that may have moved.
        now = ~self.in_baseline
        centres = np.bincount(self.owner[now], own[now], len(self.names)) / self.now
        own = np.where(now, own - centres[self.owner], own)
        sums: Floats = np.bincount(self.owner, own**2, len(self.names)).astype(np.float64)
        freedom = (self.before + self.now - 2).astype(np.float64)
        variance, weight = spread_of(sums, freedom)
        if not pooled:
            return Spread(np.maximum(variance, shift_variance), weight, 0.0, 1.0)
        common, common_freedom = common_variance(effects, float(np.median(variance)), sizes)
        common = (COMMON_WEIGHT * COMMON_USUAL**2 + common_freedom * common) / (COMMON_WEIGHT + common_freedom)
        return Spread(variance, weight, max(common, shift_variance), COMMON_WEIGHT + common_freedom)

    def _groups(self) -> list[Group]:
        """Cases with the same numbers of sessions, so that each group is one rectangle of figures."""
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, shape in enumerate(zip(self.before.tolist(), self.now.tolist(), strict=True)):
            shapes[shape].append(i)
        return [Group(self, np.array(at), *shape) for shape, at in shapes.items()]

    def _error(self) -> tuple[float, float]:
        """Of the median case's change, by what sessions share beyond the canaries; and its degrees of freedom."""
        replication = float(np.median(1 / self.before + 1 / self.now))
        own, own_freedom = float(np.median(self.spread.own)), float(np.median(self.spread.own_freedom))
        if len(self.names) >= POOL_FROM:
            mine, freedom = own * 1.57 / len(self.names) + self.spread.common, self.spread.common_freedom
        else:
            mine, freedom = own, own_freedom
        extra = float(np.median(np.concatenate([g.extra for g in self.groups])))
        return float(np.sqrt(mine * replication + extra)), freedom

    def suspects(self, already: Collection[str]) -> set[str]:
        """Where the suite as a whole is suspicious: the most typical cases, beside those that are suspect already."""
        if len(self.names) < SUITE_FROM:
            return set()
        change = np.concatenate([g.change for g in self.groups])
        middle = float(np.median(change))
        error, freedom = self._error()
        if middle <= max(float(student(0.95, freedom)) * error, log1p(GROSS.get(self.few, 0.0))):
            return set()
        names = [name for g in self.groups for name in g.names]
        nearest: list[str] = [names[i] for i in np.argsort(np.abs(change - middle), kind="stable").tolist()]
        return set([n for n in nearest if n not in already][: max(SUITE_SHOWN_BY - len(already), 0)])

    @property
    def few(self) -> int:
        """How many baseline sessions the cases have."""
        return int(np.median(self.before))

    def verdict(self) -> Verdict | None:
        """Of the suite as a whole: the median case, beyond what each case's own policy allows."""
        if len(self.names) < SUITE_FROM:
            return None

        def middle(of: Callable[[Group], Floats]) -> float:
            return float(np.median(np.concatenate([of(g) for g in self.groups])))

        again = [g for g in self.groups if g.c > 1]
        confirmed = sum(len(g.names) for g in again) >= SUITE_FROM
        change, error = middle(lambda g: g.change), self._error()
        strict, usual = (float(student(p, error[1])) * error[0] for p in (1 - self.alpha, 0.95))
        gross = GROSS.get(self.few)
        limit = max(strict, log1p(gross or 0.0))
        limit = limit if confirmed else 2 * limit  # as for a case: one session, never repeated, is little
        fresh = np.concatenate([g.fresh_change - g.tolerance for g in again]) if confirmed else np.zeros(1)
        word: Word = "inconclusive"
        if (
            change > limit
            and middle(lambda g: g.change - g.tolerance) > 0
            and middle(lambda g: g.raw_change) > 0
            and (not confirmed or float(np.median(fresh)) > 0)
        ):
            word = "regressed"
        elif -change > limit and middle(lambda g: -g.raw_change - g.tolerance) > 0:
            word = "improved"
        elif middle(lambda g: g.change - g.margin) + usual < 0 and not gross:
            word = "unchanged"
        return reasons.suite(
            word=word,
            change=change,
            half=strict,
            limit=max(limit, middle(lambda g: g.tolerance)),
            explained=self.share > 0,
            sessions=self.few,
            cases=len(self.names),
        )
