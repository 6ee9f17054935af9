"""The verdict on two sides that ran interleaved: what the machine did to one, it did to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log1p

import numpy as np

from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.coarse_timers import change_between_steps, coarse_step
from pytest_gpuperf.analysis.evidence import LEAST, SEEMS_FASTER, Policy
from pytest_gpuperf.analysis.quantiles import middle_of_variances, student
from pytest_gpuperf.analysis.reasons import ratio_of
from pytest_gpuperf.results.records import Verdict, Word
from pytest_gpuperf.results.units import format_change

FULL = 5  # launches before anything may be called regressed
FEWEST = 2  # ... or decided at all
TRIM_FROM = 4  # launches beyond which the slowest and the fastest of them are left out
LOWEST = 3  # rounds, the least disturbed ones, that a launch's figure rests on
USUAL = 0.004  # standard deviation between launches of the same code, believed before any was seen ...
USUAL_WEIGHT = 4.0  # ... as much as this many degrees of freedom ...
OTHERS = 0.75  # ... until the suite's other cases show more: the quantile of theirs
ODD = 3.0  # a launch farther from the others than so many times what they span is odd: it does not tell their spread
_TRIMMED = 1.07  # the standard error of a mean without its extremes, in those of a mean


@dataclass(frozen=True, slots=True)
class Launch:
    """Both sides of one launch of two fresh processes: a block of samples for every round. `b` is the candidate."""

    a: Sequence[Sequence[float]]
    b: Sequence[Sequence[float]]


def judge_paired(launches: Sequence[Launch], policy: Policy, usual: float = USUAL) -> Verdict:
    """One case's verdict; the launch is the unit of replication, since processes of the same code differ.

    `usual`: by how much launches differ here, believed before these are seen.
    """
    changes = _changes(launches)
    if changes.size < FEWEST:
        return Verdict(
            word="inconclusive",
            ratio=ratio_of(float(changes[0])) if changes.size else 1.0,
            low=0.0,
            high=ratio_of(np.inf),
            reason=f"two processes of the same code differ by themselves: {changes.size} launches cannot tell, "
            f"at least {FEWEST} can acquit and {FULL} convict",
        )
    return _verdict(changes, policy, usual)


def judge_paired_suite(cases: Mapping[str, Sequence[Launch]], policy: Policy) -> dict[str, Verdict]:
    """Every case's verdict, at the confidence of all of them together."""
    whole = replace(policy, comparisons=policy.comparisons or max(len(cases), 1))
    usual = usual_spreads(cases)
    return {name: judge_paired(launches, whole, usual[name]) for name, launches in cases.items()}


def usual_spreads(cases: Mapping[str, Sequence[Launch]]) -> dict[str, float]:
    """By how much launches of each case may be expected to differ: as those of the third quarter of the other cases.

    Not of the middle one: a case that is noisier than most, and by chance was calm five times, would be believed.
    """
    spreads: dict[str, float] = {}
    for name, launches in cases.items():
        changes = np.sort(_changes(launches))
        if changes.size >= FEWEST:
            seen, freedom = _seen(changes)
            spreads[name] = float(np.sqrt(seen / middle_of_variances(freedom)))
    others = {name: [s for other, s in spreads.items() if other != name] for name in cases}
    return {name: max(USUAL, float(np.quantile(of, OTHERS)) if of else 0.0) for name, of in others.items()}


def needs_more_launches(
    launches: Sequence[Launch], policy: Policy, max_launches: int = FULL, usual: float = USUAL
) -> bool:
    """Whether another launch could still change the word: only what is plainly unchanged stops early.

    Below the margin is not enough: a loss between the tolerance and the margin is found by all launches together, and
    so is a gain.
    """
    verdict = judge_paired(launches, policy, usual)
    alike = 1 / (1 + policy.tolerance) < verdict.ratio < 1 + policy.tolerance / 2
    plainly = verdict.word == "unchanged" and alike
    return len(launches) < max_launches and not plainly


def _changes(launches: Sequence[Launch]) -> Floats:
    return np.array([_change(launch) for launch in launches if len(launch.a) and len(launch.b)])


def _change(launch: Launch) -> float:
    a, b = (np.array([s for block in side for s in block]) for side in (launch.a, launch.b))
    step = coarse_step(np.concatenate([a, b]))
    if step:
        return change_between_steps(a, b, step)
    return _lowest(_blocks(launch.b)) - _lowest(_blocks(launch.a))


def _blocks(side: Sequence[Sequence[float]]) -> Floats:
    return np.array([float(np.median(block)) for block in side if len(block)])


def _lowest(blocks: Floats) -> float:
    """The log of what the least disturbed rounds took."""
    kept = np.sort(blocks)[:LOWEST]
    least = float(kept[0])
    return float(np.log(least) + np.log((kept / least).mean()))


def _seen(ordered: Floats) -> tuple[float, int]:
    """The variance of launches, without the one that is odd, and its degrees of freedom."""
    if ordered.size > TRIM_FROM:
        below, above = ordered[1] - ordered[0], ordered[-1] - ordered[-2]
        if above > ODD * max(float(ordered[-2] - ordered[0]), USUAL):
            ordered = ordered[:-1]
        elif below > ODD * max(float(ordered[-1] - ordered[1]), USUAL):
            ordered = ordered[1:]
    return float(ordered.var(ddof=1)), ordered.size - 1


def _verdict(changes: Floats, policy: Policy, usual: float) -> Verdict:
    count = changes.size
    ordered = np.sort(changes)
    trimmed = count > TRIM_FROM
    change = float((ordered[1:-1] if trimmed else ordered).mean())
    seen, own = _seen(ordered)
    freedom = USUAL_WEIGHT + own
    spread = float(np.sqrt((USUAL_WEIGHT * usual**2 + own * seen) / freedom))
    error = (_TRIMMED if trimmed else 1.0) * spread / count**0.5
    alpha = (1 - policy.confidence) / max(policy.comparisons or 1, LEAST)
    half = float(student(1 - alpha, freedom)) * error
    limit, margin = max(half, log1p(policy.tolerance)), log1p(policy.unchanged_below)
    most_slower = float(ordered[1]) > 0  # all launches but one, which may be an outlier
    all_faster = float(ordered[-1]) < 0
    word: Word = "inconclusive"
    if count >= FULL and change > limit and most_slower:
        word = "regressed"
    elif count >= FULL and -change > limit and all_faster:
        word = "improved"
    elif change > -SEEMS_FASTER * margin and change + float(student(0.95, freedom)) * error < margin:
        word = "unchanged"
    return Verdict(
        word=word,
        ratio=ratio_of(change),
        low=ratio_of(change - half),
        high=ratio_of(change + half),
        reason=_reason(word, change, limit, spread, count, policy),
        detectable=ratio_of(limit) - 1,
    )


def _reason(word: Word, change: float, limit: float, spread: float, count: int, policy: Policy) -> str:
    shown, seen = format_change(ratio_of(change)), f"{ratio_of(limit) - 1:.1%}"
    if word in {"regressed", "improved"}:
        return f"{shown}, the middle of {count} launches side by side, is beyond the {seen} they can tell"
    if word == "unchanged":
        return f"{shown}, and with 95% confidence less than {policy.unchanged_below:.1%} slower ({count} launches)"
    differ = f"{shown}; launches differ by {ratio_of(spread) - 1:.1%}, so {count} of them can tell {seen}"
    if count < FULL:
        return f"{differ}; {FULL - count} more are needed before anything may be called regressed or improved"
    wanted = count * (limit / log1p(policy.unchanged_below)) ** 2
    if limit > log1p(policy.unchanged_below) and wanted <= 50:
        return f"{differ}; about {int(wanted) + 1} launches would let {policy.unchanged_below:.1%} be seen"
    return f"{differ}; lock the clocks and keep other work off the machine, or allow a wider tolerance"
