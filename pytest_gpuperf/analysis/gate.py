"""The verdict on a whole suite: docs/gate.md says in words what is done here, and how often it is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.analysis import reasons
from pytest_gpuperf.analysis.canaries import machine_shifts, share_explained
from pytest_gpuperf.analysis.evidence import Canaries, CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.location import locations, tick
from pytest_gpuperf.analysis.quantiles import Floats, student
from pytest_gpuperf.analysis.reasons import Judged
from pytest_gpuperf.analysis.spread import POOL_FROM, Spread, common_variance, spread_of, unseen
from pytest_gpuperf.results.records import Verdict, Word

Indices = NDArray[np.int64]
Words = list[Word]
Flags = NDArray[np.bool_]

SUITE = "(suite)"  # the key of the whole suite's verdict
GROSS = {1: 0.25, 2: 0.15}  # with so few baseline sessions only a change beyond this is believed
ROBUST_FROM = 5  # baseline sessions from which on one of them may be an outlier
COMMON_USUAL = 0.003  # what sessions share once canaries are taken off, believed before any was seen ...
COMMON_WEIGHT = 3.0  # ... as much as this many degrees of freedom


def judge_suite(cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> dict[str, Verdict]:
    """A verdict for every case, and under `SUITE` for two or more cases together."""
    found: dict[str, Verdict] = {}
    measured: dict[str, CaseEvidence] = {}
    for name, case in cases.items():
        if case.published:
            found[name] = reasons.published(case)
        else:
            usable, why_not = _usable(case)
            if why_not:
                found[name] = reasons.unusable(why_not)
            else:
                measured[name] = usable
    if not measured:
        return {name: found[name] for name in cases}
    suite = _Suite(measured, canaries, policy)
    for group in suite.groups():
        found |= group.verdicts()
    verdicts = {name: found[name] for name in cases}
    if len(measured) > 1:
        verdicts[SUITE] = suite.verdict()
    return verdicts


def judge(
    baseline_sessions: Sequence[Observed],
    candidate_sessions: Sequence[Observed],
    policy: Policy,
    canaries: Canaries | None = None,
) -> Verdict:
    """One case by itself: nothing is known of the machine but what these sessions show."""
    return judge_suite({"": CaseEvidence(baseline_sessions, candidate_sessions)}, canaries, policy)[""]


def suspects(cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> set[str]:
    """The cases whose first candidate session neither acquits them nor is beyond mending: measure them again."""
    usable = {name: _usable(case) for name, case in cases.items() if not case.published}
    found = {name for name, (_, why_not) in usable.items() if why_not}
    measured = {
        name: replace(case, candidate=case.candidate[:1]) for name, (case, why_not) in usable.items() if not why_not
    }
    if measured:
        for group in _Suite(measured, canaries, policy).groups():
            found |= group.suspects()
    return found


def _usable(case: CaseEvidence) -> tuple[CaseEvidence, str]:
    """Without the sessions in a state (throttling) that the other side was never seen in."""
    before = {s.state for s in case.baseline}
    now = {s.state for s in case.candidate}
    if before == {None} == now:
        return case, ""
    shared = (before & now) | {None}
    baseline = [s for s in case.baseline if s.state in shared]
    candidate = [s for s in case.candidate if s.state in shared]
    if baseline and candidate:
        return replace(case, baseline=baseline, candidate=candidate), ""
    if not case.baseline or not case.candidate:
        return case, "one side has no session"
    states = ", ".join(sorted(s for s in (before ^ now) if s is not None))
    return case, f"every session of one side was in a state the other never was in ({states})"


class _Suite:
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
        self.alpha = (1 - policy.confidence) / (comparisons + (len(cases) > 1))
        shifts = machine_shifts(canaries, index)
        self.figures = self.raw
        self.share, shift_variance = 0.0, 0.0
        if shifts is not None:
            shift = np.array([shifts.by_session[i] for i in index])
            effects, which, _ = self._effects(at_least=1)
            self.share = share_explained(effects - effects.mean(), shift[which] - shift[which].mean(), shifts.variance)
            self.figures = self.raw - self.share * shift[self.session]
            shift_variance = self.share**2 * shifts.variance
        self.spread = self._spread(shift_variance)

    def _residuals(self) -> Floats:
        """Of every figure from the mean of its case's baseline."""
        at = self.in_baseline
        sums = np.bincount(self.owner[at], self.figures[at], len(self.names))
        return self.figures - (sums / self.before)[self.owner]

    def _effects(self, at_least: int) -> tuple[Floats, Indices, float]:
        """What each baseline session did to all its cases; which sessions; and how many cases they had."""
        at = np.flatnonzero(self.in_baseline & (self.before >= 2)[self.owner])
        if not at.size:
            return np.zeros(1), np.zeros(1, dtype=np.int64), 1.0
        at = at[np.argsort(self.session[at], kind="stable")]
        residuals = self._residuals()[at]
        which, first = np.unique(self.session[at], return_index=True)
        parts = np.split(residuals, first[1:])
        kept = [i for i, part in enumerate(parts) if part.size >= at_least]
        if not kept:
            return np.zeros(1), which[:1], 1.0
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

    def groups(self) -> list[_Group]:
        """Cases with the same numbers of sessions, so that each group is one rectangle of figures."""
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, shape in enumerate(zip(self.before.tolist(), self.now.tolist(), strict=True)):
            shapes[shape].append(i)
        self.made: list[_Group] = [_Group(self, np.array(at), *shape) for shape, at in shapes.items()]
        return self.made

    def verdict(self) -> Verdict:
        """Of the suite as a whole: the median case, against what sessions share beyond the canaries."""
        change = np.concatenate([g.change for g in self.made])
        raw = np.concatenate([g.raw_change for g in self.made])
        extra = np.concatenate([g.extra for g in self.made])
        replication = float(np.median(1 / self.before + 1 / self.now))
        spread, count = self.spread, len(self.names)
        own, own_freedom = float(np.median(spread.own)), float(np.median(spread.own_freedom))
        if count >= POOL_FROM:
            mine, freedom = own * 1.57 / count + spread.common, spread.common_freedom
        else:
            mine, freedom = own, own_freedom
        few = int(np.median(self.before))
        return reasons.suite(
            change=float(np.median(change)),
            raw=float(np.median(raw)),
            error=float(np.sqrt(mine * replication + np.median(extra))),
            strict=float(student(1 - self.alpha, freedom)),
            usual=float(student(0.95, freedom)),
            explained=self.share > 0,
            gross=GROSS.get(few),
            sessions=few,
            cases=count,
            policy=self.policy,
        )


class _Group:
    """Cases with equally many sessions on each side."""

    def __init__(self, suite: _Suite, at: Indices, before: int, now: int) -> None:
        self.suite, self.at, self.k, self.c = suite, at, before, now
        self.names: list[str] = [suite.names[i] for i in at]
        rows = suite.starts[at][:, None] + np.arange(before + now)
        figures, raw = suite.figures[rows], suite.raw[rows]
        self.baseline, self.candidate = figures[:, :before], figures[:, before:]
        self.change = _shift(self.baseline, self.candidate)
        self.raw_change = _shift(raw[:, :before], raw[:, before:])
        cases = [suite.cases[n] for n in self.names]
        self.policies = [c.policy or suite.policy for c in cases]
        self.tolerance = np.log1p([p.tolerance for p in self.policies])
        self.margin = np.log1p([p.unchanged_below for p in self.policies])
        self.extra = _extra(cases)
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
        return {
            name: reasons.verdict(
                Judged(
                    word=words[i],
                    change=float(self.change[i]),
                    raw=float(self.raw_change[i]),
                    half=float(self.strict[i] * self.error[i]),
                    limit=float(limit[i]),
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
        fresh = self.candidate[:, 1:] if self.c > 1 else self.candidate
        fresh_change = _shift(self.baseline, fresh)
        ordered = np.sort(self.baseline, axis=1)
        spared = int(self.k >= ROBUST_FROM)  # one session of enough may be an outlier
        apart = self.candidate.min(axis=1) > ordered[:, -1 - spared]
        below = self.candidate.max(axis=1) < ordered[:, spared]
        slower = (self.change > self.limit) & (fresh_change > self.tolerance) & apart & (self.raw_change > 0)
        faster = (-self.change > self.limit) & (-fresh_change > self.tolerance) & below
        faster &= self.raw_change < -self.tolerance
        bound = self.usual * self.error
        unchanged = self.change + bound < self.margin
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


def _extra(cases: Sequence[CaseEvidence]) -> Floats:
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
            known[key] = unseen(case.baseline, case.candidate)
        found[i] = known[key]
    return found
