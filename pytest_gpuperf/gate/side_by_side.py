"""The verdict on two sides that ran interleaved: what the machine did to one, it did to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log1p

import numpy as np

from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.observations import LEAST, SEEMS_FASTER, Policy
from pytest_gpuperf.gate.reasons import ratio_of
from pytest_gpuperf.gate.session_cost import change_between_steps, coarse_step
from pytest_gpuperf.gate.spread import BOUND, margin_for_error, middle_of_variances, student
from pytest_gpuperf.records.model import LaunchFigures, Verdict, Word
from pytest_gpuperf.records.units import in_words, many

FULL = 5  # launches before anything may be called regressed
LOOKS = (FULL, 8, 12, 20)  # launches at which a case is judged; the later ones where time allows them
FEWEST = 2  # ... or decided at all
TRIM_FROM = 4  # launches beyond which the slowest and the fastest of them are left out
LOWEST = 3  # rounds, the least disturbed ones, that a launch's figure rests on
USUAL = 0.004  # standard deviation between launches of the same code, believed before there is any ...
USUAL_WEIGHT = 4.0  # ... as much as this many degrees of freedom ...
OTHERS = 0.75  # ... until the suite's other cases show more: the quantile of theirs
ALIKE = 2.5  # times what a case's own launches show: others that differ by more are not like it
ODD = 3.0  # a launch farther from the others than so many times what they span is odd: it does not tell their spread
MANY = 8  # launches from which on a fifth of them is trimmed at each end
TRIMMED = 0.2
_TRIMMED = 1.07  # the standard error of a mean without its extremes, in those of a mean


@dataclass(frozen=True, slots=True)
class Launch:
    """Both sides of one launch of two fresh processes: a block of samples for every round. `b` is the candidate."""

    a: Sequence[Sequence[float]]
    b: Sequence[Sequence[float]]


AnyLaunch = Launch | LaunchFigures  # as it was measured, or as a run keeps it


def figures_of(launch: Launch) -> LaunchFigures:
    """What a verdict reads off a launch; both sides have samples."""
    a, b = (np.array([s for block in side for s in block]) for side in (launch.a, launch.b))
    before = _lowest(_blocks(launch.a))
    step = coarse_step(np.concatenate([a, b]))
    change = change_between_steps(a, b, step) if step else _lowest(_blocks(launch.b)) - before
    return LaunchFigures(before=float(np.exp(before)), ratio=ratio_of(change))


def judge_paired(launches: Sequence[AnyLaunch], policy: Policy, usual: float = USUAL) -> Verdict:
    """One case's verdict; the launch is the unit of replication, since processes of the same code differ.

    `usual`: by how much launches differ here, as believed before these.
    """
    figures = _figures(launches)
    changes = _changes(figures)
    if changes.size < FEWEST:
        return Verdict(
            word="inconclusive",
            ratio=ratio_of(float(changes[0])) if changes.size else 1.0,
            low=0.0,
            high=ratio_of(np.inf),
            reason=f"two processes of the same code differ, so {many(changes.size, 'launch')} cannot decide: it takes "
            f"{FEWEST} to call a case unchanged, and {FULL} to call it regressed or improved",
            basis="turns",
        )
    return _verdict(changes, float(np.exp(np.median(np.log([f.before for f in figures])))), policy, usual)


def judge_paired_suite(
    cases: Mapping[str, Sequence[AnyLaunch]],
    policy: Policy,
    policies: Mapping[str, Policy] | None = None,
    known: Mapping[str, float] | None = None,
) -> dict[str, Verdict]:
    """Every case's verdict, at the confidence of all of them together; `policies` are the cases' own.

    `known`: by how much sessions of a case differed before, where that is known.
    """
    comparisons = policy.comparisons or max(len(cases), 1)
    usual = usual_spreads(cases, known)
    return {
        name: judge_paired(launches, replace((policies or {}).get(name, policy), comparisons=comparisons), usual[name])
        for name, launches in cases.items()
    }


def judge_paired_whole(cases: Mapping[str, Sequence[AnyLaunch]], policy: Policy) -> Verdict | None:
    """These cases as one: in each launch the change of the middle one. None where too few launches had them all."""
    changes = [_changes(launches) for launches in cases.values()]
    count = min((c.size for c in changes), default=0)
    if count < FEWEST:
        return None
    middles = np.median(np.array([c[:count] for c in changes]), axis=0)
    return _verdict(middles, None, policy, USUAL)


def usual_spreads(
    cases: Mapping[str, Sequence[AnyLaunch]], known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """By how much launches of each case may be expected to differ: as much as the third quartile of the other cases.

    The median would not do: a case that is noisier than most, and by chance was calm five times, would be believed. It
    is never less than two of the case's own sessions differed before (`known`), and never more than a few times what
    its own launches show: a wild case must not blind the steady ones. Where nothing else is known of the machine, its
    own launches alone are believed, and not that the machine is as steady as most.
    """
    spreads: dict[str, float] = {}
    for name, launches in cases.items():
        changes = np.sort(_changes(launches))
        if changes.size >= FEWEST:
            variance, freedom = _variance_between(changes)
            spreads[name] = float(np.sqrt(variance / middle_of_variances(freedom)))
    usual: dict[str, float] = {}
    for name in cases:
        others = [s for other, s in spreads.items() if other != name]
        before = 2**0.5 * (known or {}).get(name, 0.0)  # a launch is the difference of two processes
        beside = float(np.quantile(others, OTHERS)) if others else 0.0 if before else spreads.get(name, 0.0)
        theirs = max(beside, before)
        usual[name] = max(USUAL, min(theirs, ALIKE * spreads[name]) if name in spreads else theirs)
    return usual


def wanting_launches(
    cases: Mapping[str, Sequence[AnyLaunch]],
    policies: Mapping[str, Policy],
    known: Mapping[str, float] | None = None,
    *,
    extended: bool,
) -> set[str]:
    """The cases that another launch may still decide: up to five, and where time allows up to the next look."""
    usual = usual_spreads(cases, known)
    return {n for n, launches in cases.items() if _wants_launch(launches, policies[n], usual[n], extended=extended)}


def needs_more_launches(
    launches: Sequence[AnyLaunch], policy: Policy, max_launches: int = FULL, usual: float = USUAL
) -> bool:
    """Whether another launch could still change the word: only what is plainly unchanged stops early.

    A change below the margin is not plain enough: only all launches together find a loss, or a gain, between the
    tolerance and the margin. Nor is one below a margin wider than the least: more launches may narrow the margin.
    """
    verdict = judge_paired(launches, policy, usual)
    alike = 1 / (1 + policy.tolerance) < verdict.ratio < 1 + policy.tolerance / 2
    return len(launches) < max_launches and not (is_plain(verdict, policy) and alike)


def is_plain(verdict: Verdict, policy: Policy) -> bool:
    """Whether it is decided as sharply as it may be asked."""
    if verdict.word == "unchanged":
        return verdict.margin is not None and verdict.margin <= policy.margins[0] * (1 + 1e-9)
    return verdict.word != "inconclusive"


def _wants_launch(launches: Sequence[AnyLaunch], policy: Policy, usual: float, *, extended: bool) -> bool:
    count = len(launches)
    if count < FULL:
        return needs_more_launches(launches, policy, usual=usual)
    if not extended or count >= LOOKS[-1]:
        return False
    return count not in LOOKS or not is_plain(judge_paired(launches, policy, usual), policy)


def _figures(launches: Sequence[AnyLaunch]) -> list[LaunchFigures]:
    """Of those that measured anything."""
    found: list[LaunchFigures] = []
    for launch in launches:
        if isinstance(launch, LaunchFigures):
            found.append(launch)
        elif len(launch.a) and len(launch.b):
            found.append(figures_of(launch))
    return found


def _changes(launches: Sequence[AnyLaunch]) -> Floats:
    return np.log(np.array([f.ratio for f in _figures(launches)]))


def _blocks(side: Sequence[Sequence[float]]) -> Floats:
    return np.array([float(np.median(block)) for block in side if len(block)])


def _lowest(blocks: Floats) -> float:
    """The log of what the least disturbed rounds took."""
    kept = np.sort(blocks)[:LOWEST]
    least = float(kept[0])
    return float(np.log(least) + np.log((kept / least).mean()))


def _variance_between(ordered: Floats) -> tuple[float, int]:
    """The variance of launches, without the one that is odd, and its degrees of freedom."""
    if ordered.size > TRIM_FROM:
        below, above = ordered[1] - ordered[0], ordered[-1] - ordered[-2]
        if above > ODD * max(float(ordered[-2] - ordered[0]), USUAL):
            ordered = ordered[:-1]
        elif below > ODD * max(float(ordered[-1] - ordered[1]), USUAL):
            ordered = ordered[1:]
    return float(ordered.var(ddof=1)), ordered.size - 1


@dataclass(frozen=True, slots=True)
class _Middle:
    """Where the launches' changes lie, and how well that is known."""

    change: float
    error: float  # standard error of the change
    freedom: float
    spread: float  # standard deviation between launches


def _middle(ordered: Floats, usual: float) -> _Middle:
    """A trimmed mean: few launches lose one at each end, many a fifth; what is trimmed does not make it surer."""
    count = ordered.size
    if count < MANY:
        trimmed = count > TRIM_FROM
        variance, own = _variance_between(ordered)
        freedom = USUAL_WEIGHT + own
        spread = float(np.sqrt((USUAL_WEIGHT * usual**2 + own * variance) / freedom))
        kept = ordered[1:-1] if trimmed else ordered
        return _Middle(float(kept.mean()), (_TRIMMED if trimmed else 1.0) * spread / count**0.5, freedom, spread)
    cut = int(TRIMMED * count)
    kept = ordered[cut : count - cut]
    share = kept.size / count
    own = kept.size - 1
    winsorised = np.clip(ordered, kept[0], kept[-1])
    variance = float(winsorised.var(ddof=1)) / share**2
    freedom = USUAL_WEIGHT + own
    spread = float(np.sqrt((USUAL_WEIGHT * usual**2 + own * variance) / freedom))
    return _Middle(float(kept.mean()), spread / count**0.5, freedom, spread)


def _verdict(changes: Floats, before: float | None, policy: Policy, usual: float) -> Verdict:
    ordered = np.sort(changes)
    count, spared = ordered.size, max(1, int(TRIMMED * ordered.size))  # launches that may be outliers
    middle = _middle(ordered, usual)
    change = middle.change
    alpha = (1 - policy.confidence) / max(policy.comparisons or 1, LEAST)
    limit = max(float(student(1 - alpha, middle.freedom)) * middle.error, log1p(policy.tolerance))
    half = float(student(BOUND, middle.freedom)) * middle.error
    least, most = policy.margins
    margin = float(margin_for_error(np.asarray(middle.error), middle.freedom, log1p(least), log1p(most)))
    word: Word = "inconclusive"
    if count >= FULL and change > limit and float(ordered[spared]) > 0:
        word = "regressed"
    elif count >= FULL and -change > limit and float(ordered[-1 - spared]) < 0:
        word = "improved"
    elif change > -SEEMS_FASTER * margin and change + half < margin:
        word = "unchanged"
    return Verdict(
        word=word,
        ratio=ratio_of(change),
        low=ratio_of(change - half),
        high=ratio_of(change + half),
        reason=_reason(word, change, limit, margin, middle.spread, count),
        before=before,
        margin=ratio_of(margin) - 1,
        detectable=ratio_of(limit) - 1,
        basis="turns",
    )


def _reason(word: Word, change: float, limit: float, margin: float, spread: float, count: int) -> str:
    cost, resolution = in_words(ratio_of(change)), f"{ratio_of(limit) - 1:.1%}"
    if word in {"regressed", "improved"}:
        return f"{cost} in {count} launches in turns, which can tell {resolution}"
    if word == "unchanged":
        return f"{cost} in {count} launches in turns; with 95% confidence less than {ratio_of(margin) - 1:.1%} slower"
    differ = f"{cost}; launches differ by {ratio_of(spread) - 1:.1%}, so {count} of them can tell {resolution}"
    if count < FULL:
        return f"{differ}; {FULL - count} more are needed before anything may be called regressed or improved"
    wanted = count * (limit / margin) ** 2
    if limit > margin and wanted <= 50:
        return f"{differ}; about {int(wanted) + 1} launches would show a change of {ratio_of(margin) - 1:.1%}"
    return f"{differ}; lock the clocks and keep other work off the machine, or give the test a wider margin"
