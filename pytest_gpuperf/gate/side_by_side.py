"""The verdict on two sides that measured in turns: what the machine did to one, it did to the other."""

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

FULL = 5  # launches before a case may be called regressed or improved
LOOKS = (FULL, 8, 12, 20)  # numbers of launches at which a case is judged; the later ones where time allows them
FEWEST = 2  # launches before a case is decided at all
TRIM_FROM = 4  # of more launches than this, the slowest and the fastest are left out
LOWEST = 3  # rounds that a launch's figure rests on: the least disturbed ones
USUAL = 0.004  # standard deviation between launches of the same code, believed before any launch shows it ...
USUAL_WEIGHT = 4.0  # ... and worth this many degrees of freedom ...
OTHERS = 0.75  # ... until the suite's other cases show more: this quantile of their standard deviations ...
ALIKE = 2.5  # ... but at most so many times the case's own: others that differ by more are not like it
ODD = 3.0  # a launch is odd, and left out of the spread, if its gap to the others is so many times what they span
MANY = 8  # from so many launches on, a share of them is trimmed at each end ...
TRIMMED = 0.2  # ... this one
_TRIM_ERROR = 1.07  # the standard error of a mean that leaves out both extremes, over that of the mean of all


@dataclass(frozen=True, slots=True)
class Launch:
    """Two fresh processes that measured in turns: a block of samples a round from each. `b` is the candidate."""

    a: Sequence[Sequence[float]]
    b: Sequence[Sequence[float]]


AnyLaunch = Launch | LaunchFigures  # as it was measured, or as a run keeps it


def figures_of(launch: Launch) -> LaunchFigures:
    """What a verdict reads off a launch. Both sides must have samples."""
    a, b = (np.array([s for block in side for s in block]) for side in (launch.a, launch.b))
    log_before = _lowest(_block_medians(launch.a))
    step = coarse_step(np.concatenate([a, b]))
    change = change_between_steps(a, b, step) if step else _lowest(_block_medians(launch.b)) - log_before
    return LaunchFigures(before=float(np.exp(log_before)), ratio=ratio_of(change))


def judge_paired(launches: Sequence[AnyLaunch], policy: Policy, usual: float = USUAL) -> Verdict:
    """One case's verdict. The launch is the unit of replication, since processes of the same code differ.

    `usual`: the standard deviation between launches that is believed before these show theirs.
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
    """Every case's verdict. The confidence is that of all the verdicts together; `policies` are the cases' own.

    `known`: the standard deviation between earlier sessions of a case, where that is known.
    """
    comparisons = policy.comparisons or max(len(cases), 1)
    usual = usual_spreads(cases, known)
    return {
        name: judge_paired(launches, replace((policies or {}).get(name, policy), comparisons=comparisons), usual[name])
        for name, launches in cases.items()
    }


def judge_paired_whole(cases: Mapping[str, Sequence[AnyLaunch]], policy: Policy) -> Verdict | None:
    """The verdict on these cases as one: each launch gives their median change. None if too few launches had all."""
    changes = [_changes(launches) for launches in cases.values()]
    count = min((c.size for c in changes), default=0)
    if count < FEWEST:
        return None
    middles = np.median(np.array([c[:count] for c in changes]), axis=0)
    return _verdict(middles, None, policy, USUAL)


def usual_spreads(
    cases: Mapping[str, Sequence[AnyLaunch]], known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The standard deviation to expect between launches of each case: the third quartile of what the others show.

    The median would not do: a case that is noisier than most would pass for a calm one if by chance it was calm five
    times. Where two of the case's own sessions differed by more before (`known`), that is expected instead. In any
    case it is no more than a few times what the case's own launches show: a wild case must not blind the steady ones.
    Where neither other cases nor earlier sessions are known, its own launches are believed. `USUAL` alone would take
    the machine to be as steady as most.
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
        of_sessions = 2**0.5 * (known or {}).get(name, 0.0)  # a launch is the difference of two processes
        of_others = float(np.quantile(others, OTHERS)) if others else 0.0 if of_sessions else spreads.get(name, 0.0)
        expected = max(of_others, of_sessions)
        usual[name] = max(USUAL, min(expected, ALIKE * spreads[name]) if name in spreads else expected)
    return usual


def wanting_launches(
    cases: Mapping[str, Sequence[AnyLaunch]],
    policies: Mapping[str, Policy],
    known: Mapping[str, float] | None = None,
    *,
    extended: bool,
) -> set[str]:
    """The cases that another launch may still decide: up to five launches; `extended`, up to the next look."""
    usual = usual_spreads(cases, known)
    return {n for n, launches in cases.items() if _wants_launch(launches, policies[n], usual[n], extended=extended)}


def needs_more_launches(
    launches: Sequence[AnyLaunch], policy: Policy, max_launches: int = FULL, usual: float = USUAL
) -> bool:
    """Whether another launch could still change the word: only a case that is plainly unchanged stops early.

    A change below the margin must be small beside the tolerance too: only all launches together find a loss, or a gain,
    between the tolerance and the margin. And the margin must be the least one: more launches may narrow a wider one.
    """
    verdict = judge_paired(launches, policy, usual)
    alike = 1 / (1 + policy.tolerance) < verdict.ratio < 1 + policy.tolerance / 2
    return len(launches) < max_launches and not (is_plain(verdict, policy) and alike)


def is_plain(verdict: Verdict, policy: Policy) -> bool:
    """Whether the case is decided as sharply as anybody may ask: *unchanged* counts only with the least margin."""
    if verdict.word == "unchanged":
        return verdict.margin is not None and verdict.margin <= policy.margins[0] * (1 + 1e-9)
    return verdict.word != "inconclusive"


def _wants_launch(launches: Sequence[AnyLaunch], policy: Policy, usual: float, *, extended: bool) -> bool:
    count = len(launches)
    if count < FULL:
        return needs_more_launches(launches, policy, usual=usual)
    if not extended or count >= LOOKS[-1]:
        return False
    # Between two looks it goes on to the next one: from the first look on, cases are judged at looks only.
    return count not in LOOKS or not is_plain(judge_paired(launches, policy, usual), policy)


def _figures(launches: Sequence[AnyLaunch]) -> list[LaunchFigures]:
    """The figures of the launches that measured anything on both sides."""
    found: list[LaunchFigures] = []
    for launch in launches:
        if isinstance(launch, LaunchFigures):
            found.append(launch)
        elif len(launch.a) and len(launch.b):
            found.append(figures_of(launch))
    return found


def _changes(launches: Sequence[AnyLaunch]) -> Floats:
    return np.log(np.array([f.ratio for f in _figures(launches)]))


def _block_medians(side: Sequence[Sequence[float]]) -> Floats:
    return np.array([float(np.median(block)) for block in side if len(block)])


def _lowest(blocks: Floats) -> float:
    """The logarithm of the mean of the least disturbed rounds."""
    kept = np.sort(blocks)[:LOWEST]
    least = float(kept[0])
    return float(np.log(least) + np.log((kept / least).mean()))


def _variance_between(ordered: Floats) -> tuple[float, int]:
    """The variance between launches, without one that is odd, and its degrees of freedom."""
    if ordered.size > TRIM_FROM:
        gap_below, gap_above = ordered[1] - ordered[0], ordered[-1] - ordered[-2]
        if gap_above > ODD * max(float(ordered[-2] - ordered[0]), USUAL):
            ordered = ordered[:-1]
        elif gap_below > ODD * max(float(ordered[-1] - ordered[1]), USUAL):
            ordered = ordered[1:]
    return float(ordered.var(ddof=1)), ordered.size - 1


@dataclass(frozen=True, slots=True)
class _Middle:
    """Where the launches' changes lie, and how well that is known."""

    change: float
    error: float  # standard error of the change
    freedom: float  # degrees of freedom of the error
    spread: float  # standard deviation between launches


def _middle(ordered: Floats, usual: float) -> _Middle:
    """A trimmed mean: few launches lose one at each end, many lose a fifth there. Trimming does not make it surer."""
    count = ordered.size
    if count < MANY:
        trimmed = count > TRIM_FROM
        variance, own_freedom = _variance_between(ordered)
        freedom = USUAL_WEIGHT + own_freedom
        spread = float(np.sqrt((USUAL_WEIGHT * usual**2 + own_freedom * variance) / freedom))
        kept = ordered[1:-1] if trimmed else ordered
        return _Middle(float(kept.mean()), (_TRIM_ERROR if trimmed else 1.0) * spread / count**0.5, freedom, spread)
    cut = int(TRIMMED * count)
    kept = ordered[cut : count - cut]
    kept_share = kept.size / count
    own_freedom = kept.size - 1
    winsorised = np.clip(ordered, kept[0], kept[-1])
    variance = float(winsorised.var(ddof=1)) / kept_share**2
    freedom = USUAL_WEIGHT + own_freedom
    spread = float(np.sqrt((USUAL_WEIGHT * usual**2 + own_freedom * variance) / freedom))
    return _Middle(float(kept.mean()), spread / count**0.5, freedom, spread)


def _verdict(changes: Floats, before: float | None, policy: Policy, usual: float) -> Verdict:
    ordered = np.sort(changes)
    count, spared = ordered.size, max(1, int(TRIMMED * ordered.size))  # so many at one end may be outliers
    middle = _middle(ordered, usual)
    change = middle.change
    alpha = (1 - policy.confidence) / max(policy.comparisons or 1, LEAST)
    limit = max(float(student(1 - alpha, middle.freedom)) * middle.error, log1p(policy.tolerance))
    half_width = float(student(BOUND, middle.freedom)) * middle.error
    least, most = policy.margins
    margin = float(margin_for_error(np.asarray(middle.error), middle.freedom, log1p(least), log1p(most)))
    word: Word = "inconclusive"
    if count >= FULL and change > limit and float(ordered[spared]) > 0:
        word = "regressed"
    elif count >= FULL and -change > limit and float(ordered[-1 - spared]) < 0:
        word = "improved"
    elif change > -SEEMS_FASTER * margin and change + half_width < margin:
        word = "unchanged"
    return Verdict(
        word=word,
        ratio=ratio_of(change),
        low=ratio_of(change - half_width),
        high=ratio_of(change + half_width),
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
