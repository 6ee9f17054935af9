"""Cases with equally many sessions on each side, judged together: one rectangle of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.analysis import reasons
from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.days import unseen
from pytest_gpuperf.analysis.evidence import SEEMS_FASTER, CaseEvidence
from pytest_gpuperf.analysis.location import tick
from pytest_gpuperf.analysis.quantiles import student
from pytest_gpuperf.analysis.reasons import Judged
from pytest_gpuperf.analysis.spread import Spread
from pytest_gpuperf.results.records import Verdict, Word

if TYPE_CHECKING:
    from pytest_gpuperf.analysis.suite import Suite

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = list[Word]

GROSS = {1: 0.25, 2: 0.15}  # with so few baseline sessions only a change beyond this is believed
ROBUST_FROM = 5  # baseline sessions from which on one of them may be an outlier


class Group:
    """Cases with equally many sessions on each side."""

    def __init__(self, suite: Suite, at: Indices, before: int, now: int) -> None:
        self.suite, self.at, self.k, self.c = suite, at, before, now
        self.names: list[str] = [suite.names[i] for i in at]
        rows = suite.starts[at][:, None] + np.arange(before + now)
        figures, raw = suite.figures[rows], suite.raw[rows]
        self.baseline, self.candidate = figures[:, :before], figures[:, before:]
        self.change = _shift(self.baseline, self.candidate)
        self.fresh_change = _shift(self.baseline, self.candidate[:, 1:]) if now > 1 else self.change
        self.raw_change = _shift(raw[:, :before], raw[:, before:])
        cases = [suite.cases[n] for n in self.names]
        self.policies = [c.policy or suite.policy for c in cases]
        self.tolerance = np.log1p([p.tolerance for p in self.policies])
        self.margin = np.log1p([p.unchanged_below for p in self.policies])
        shift = suite.shift[rows]
        moved = shift[:, before:].mean(axis=1) - shift[:, :before].mean(axis=1)
        self.extra = _extra(cases, suite.day_variance) + suite.share_variance * moved**2
        self.variance = suite.spread.own[at] + suite.spread.common
        part = Spread(
            suite.spread.own[at], suite.spread.own_freedom[at], suite.spread.common, suite.spread.common_freedom
        )
        self.error, self.freedom = part.standard_error(np.full(len(at), 1 / before + 1 / now), self.extra)
        self.strict = student(1 - suite.alpha, self.freedom)
        self.usual = student(0.95, self.freedom)
        step = tick(raw, suite.steps[rows])
        # Two values a tick apart, by chance all high here and low there: p^c (1-p)^k at its worst.
        chance = before**before * now**now / (before + now) ** (before + now) if before + now < 60 else 0.0
        # Medians of even counts halve the timer's step as it is seen here: two such steps are one of the timer's.
        self.step = np.where(suite.alpha < chance, 2 * step, 0.0)

    @property
    def limit(self) -> Floats:
        """The smallest change this evidence can convict of."""
        limit = np.maximum(np.maximum(self.strict * self.error, self.tolerance), self.step * 1.001)
        return limit * 2 if self.c == 1 else limit

    def suspects(self) -> set[str]:
        if self.k in GROSS:
            return {n for n, d in zip(self.names, self.change, strict=True) if d > np.log1p(GROSS[self.k])}
        bound = self.usual * self.error
        later = self.usual * np.sqrt(self.variance * (1 / self.k + 1 / 3) + self.extra)
        mendable = later < self.margin
        found = (self.change > bound) | ((self.change + bound >= self.margin) & mendable)
        return {n for n, suspect in zip(self.names, found, strict=True) if suspect}

    def verdicts(self) -> dict[str, Verdict]:
        words = self._gross() if self.k in GROSS else self._words()
        further = reasons.further_sessions(self.k, self.variance, self.extra, self.strict, self.margin)
        spread, limit = np.sqrt(self.variance), self.limit
        needed = np.expm1(np.minimum(self.change + self.usual * self.error, 10.0))
        return {
            name: reasons.verdict(
                Judged(
                    word=words[i],
                    change=float(self.change[i]),
                    raw=float(self.raw_change[i]),
                    half=float(self.strict[i] * self.error[i]),
                    limit=float(limit[i]),
                    needed=float(needed[i]),
                    spread=float(spread[i]),
                    baseline=self.k,
                    candidate=self.c,
                    gross=GROSS.get(self.k),
                    further=int(further[i]),
                    explained=self.suite.share > 0,
                    policy=self.policies[i],
                )
            )
            for i, name in enumerate(self.names)
        }

    def _gross(self) -> Words:
        gross = np.maximum(np.log1p(GROSS[self.k]), self.limit)
        nothing = np.zeros(len(self.at), dtype=np.bool_)
        slower = (self.change > gross) & (self.raw_change > 0)
        faster = (self.change < -gross) & (self.raw_change < 0)
        return _said(slower, faster, nothing)

    def _words(self) -> Words:
        ordered = np.sort(self.baseline, axis=1)
        spared = int(self.k >= ROBUST_FROM)  # one session of enough may be an outlier
        apart = self.candidate.min(axis=1) > ordered[:, -1 - spared]
        below = self.candidate.max(axis=1) < ordered[:, spared]
        slower = (self.change > self.limit) & (self.fresh_change > self.tolerance) & apart & (self.raw_change > 0)
        faster = (-self.change > self.limit) & (-self.fresh_change > self.tolerance) & below
        faster &= self.raw_change < -self.tolerance
        bound = self.usual * self.error
        unchanged = (self.change + bound < self.margin) & (self.change > -SEEMS_FASTER * self.margin)
        return _said(slower, faster, unchanged)


def _said(slower: Flags, faster: Flags, unchanged: Flags) -> Words:
    return [
        "regressed" if s else "improved" if f else "unchanged" if u else "inconclusive"
        for s, f, u in zip(slower.tolist(), faster.tolist(), unchanged.tolist(), strict=True)
    ]


def _shift(baseline: Floats, candidate: Floats) -> Floats:
    """Hodges and Lehmann: the median of all differences; no single session can move it far."""
    differences = candidate[:, :, None] - baseline[:, None, :]
    return np.median(differences.reshape(len(baseline), -1), axis=1)


def _extra(cases: Sequence[CaseEvidence], day_variance: float) -> Floats:
    """Days and cards that the baseline never saw; suites share their sessions, so each combination is told once."""
    known: dict[tuple[object, ...], float] = {}
    found = np.empty(len(cases))
    for i, case in enumerate(cases):
        key = (
            *((s.id, s.time, s.card) for s in case.baseline),
            None,
            *((s.id, s.time, s.card) for s in case.candidate),
        )
        if key not in known:
            known[key] = unseen(case.baseline, case.candidate, day_variance)
        found[i] = known[key]
    return found
