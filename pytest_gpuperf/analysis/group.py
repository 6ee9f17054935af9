"""Cases with equally many sessions on each side, judged together: one rectangle of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_gpuperf.analysis import reasons
from pytest_gpuperf.analysis.arrays import Flags, Floats, Indices
from pytest_gpuperf.analysis.evidence import SEEMS_FASTER
from pytest_gpuperf.analysis.location import tick
from pytest_gpuperf.analysis.quantiles import BOUND, margin_told, student
from pytest_gpuperf.analysis.reasons import Judged
from pytest_gpuperf.analysis.spread import Spread
from pytest_gpuperf.results.records import Word

if TYPE_CHECKING:
    from pytest_gpuperf.analysis.view import View

Words = list[Word]

GROSS = {1: 0.25, 2: 0.15}  # with so few baseline sessions only a change beyond this is believed
ROBUST_FROM = 5  # baseline sessions from which on one of them may be an outlier
_HALF_SEEN = 0.5  # of a shift beyond what was ever seen: so much of it the cases may or may not share


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
        days, always = (part[at] for part in suite.unseen)
        self.extra = days * view.day_variance + always
        if figures.shift is not None:
            shift = figures.shift[rows]
            moved = shift[:, before:].mean(axis=1) - shift[:, :before].mean(axis=1)
            self.extra = self.extra + figures.share_variance * moved**2 + (_HALF_SEEN * figures.beyond) ** 2
        self.variance = spread.own[at] + spread.common
        part = Spread(spread.own[at], spread.own_freedom[at], spread.common, spread.common_freedom)
        self.error, self.freedom = part.standard_error(np.full(len(at), 1 / before + 1 / now), self.extra)
        self.strict = student(1 - suite.alpha, self.freedom)
        self.usual = student(BOUND, self.freedom)
        self.least, most = np.log1p(np.array([p.margins for p in self.policies]).reshape(-1, 2).T)
        self.margin = margin_told(self.error, self.freedom, self.least, most)
        step = tick(suite.raw[rows], suite.steps[rows])
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
        """The cases to measure again: all that are not clear. Within its tolerance, or plainly unchanged, a case is."""
        words = self._gross() if self.k in GROSS else self._words()
        within = (self.change < self.tolerance) | (self.change + self.usual * self.error < self.least)
        return {
            name
            for name, word, is_within in zip(self.names, words, within.tolist(), strict=True)
            if not (word == "improved" or (word == "unchanged" and is_within))
        }

    def judged(self) -> dict[str, Judged]:
        """The figures and the word of each case."""
        words = self._gross() if self.k in GROSS else self._words()
        further = reasons.further_sessions(self.k, self.variance, self.extra, self.strict, self.margin)
        spread, limit = np.sqrt(self.variance), self.limit
        return {
            name: Judged(
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
        return _said(self.change > gross, self.change < -gross, nothing)

    def _words(self) -> Words:
        ordered = np.sort(self.baseline, axis=1)
        spared = int(self.k >= ROBUST_FROM)  # one session of enough may be an outlier
        apart = self.candidate.min(axis=1) > ordered[:, -1 - spared]
        below = self.candidate.max(axis=1) < ordered[:, spared]
        slower = (self.change > self.limit) & (self.fresh_change > self.tolerance) & apart
        faster = (-self.change > self.limit) & (-self.fresh_change > self.tolerance) & below
        bound = self.usual * self.error
        unchanged = (self.change + bound < self.margin) & (self.change > -SEEMS_FASTER * self.margin)
        return _said(slower, faster, unchanged)


def _said(slower: Flags, faster: Flags, unchanged: Flags) -> Words:
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
