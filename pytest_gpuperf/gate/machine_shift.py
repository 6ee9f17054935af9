"""The machine's own shift, shown by fixed work that runs no user code. Nothing else may explain a shift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.observations import Canaries
from pytest_gpuperf.gate.spread import middle_of_variances

_NOISE = 0.003  # what one canary's session differs by itself, until several canaries show it
_NOISE_WEIGHT = 2.0  # worth as many degrees of freedom
_ALLOWED = 2.0  # standard deviations of a canary's own: one that is so far from the others still agrees


@dataclass(frozen=True, slots=True)
class Shifts:
    """How much slower the machine was in each session: log ratios to the baseline's middle, and how well known."""

    before: Mapping[str, float]  # the baseline's sessions: the median of their canaries
    now: Mapping[str, Floats]  # this run's: each canary
    own: Floats  # by how much each canary differs between sessions by itself: standard deviations
    variance: float  # of one session's shift

    def beyond(self, believed: Iterable[float]) -> float:
        """By how much a shift is larger than any that the baseline's sessions have shown."""
        largest = max(abs(s) for s in self.before.values())
        return max(max(abs(b) for b in believed) - largest, 0.0)


def machine_shifts(canaries: Canaries | None, before: Sequence[str], now: Sequence[str]) -> Shifts | None:
    """None where a session lacks canaries, or the sessions have none in common: then nothing is explained."""
    wanted = [*before, *now]
    if canaries is None or not before or any(not canaries.get(s) for s in wanted):
        return None
    names = [n for n in sorted(canaries[wanted[0]]) if all(canaries[s].get(n) for s in wanted)]
    if not names:
        return None
    logs = np.array([[float(np.log(np.quantile(canaries[s][n], 0.25))) for n in names] for s in wanted])
    logs -= np.median(logs[: len(before)], axis=0)
    shift = np.median(logs, axis=1)
    return Shifts(
        dict(zip(before, (float(s) for s in shift), strict=False)),
        dict(zip(now, logs[len(before) :], strict=True)),
        _own(logs[: len(before)] - shift[: len(before), None]),
        _noise(logs) / len(names),
    )


def believed_shifts(shifts: Shifts, moved: Mapping[str, float]) -> dict[str, float]:
    """The part of each session's shift that all its canaries agree on, and that the suite's own cases moved by too.

    A canary that is noisy by itself agrees with more, so that it vetoes nothing.
    """
    return {session: _agreed(logs, shifts.own, moved[session]) for session, logs in shifts.now.items()}


def _agreed(logs: Floats, own: Floats, suite: float) -> float:
    middle = float(np.median(logs))
    slower = middle > 0
    if not slower:
        logs, suite, middle = -logs, -suite, -middle
    agreed = min(middle, float((logs + _ALLOWED * own).min()), suite)
    return max(agreed, 0.0) * (1 if slower else -1)


def _own(apart: Floats) -> Floats:
    """The standard deviation of each canary's own part, drawn to what a canary usually has."""
    freedom = max(len(apart) - 1, 0)
    sums = (apart**2).sum(axis=0)
    return np.sqrt((sums + _NOISE_WEIGHT * _NOISE**2) / (freedom + _NOISE_WEIGHT))


def _noise(logs: Floats) -> float:
    """The variance of one canary's session: of the middle session, since one canary's bad moment moves no median."""
    sessions, canaries = logs.shape
    if canaries < 2:
        return _NOISE**2
    among = canaries - 1
    usual = float(np.median(logs.var(axis=1, ddof=1))) / middle_of_variances(among) * sessions / (sessions - 1)
    freedom = (sessions - 1) * among / 2  # a median of variances knows about half of what their mean does
    return (freedom * usual + _NOISE_WEIGHT * _NOISE**2) / (freedom + _NOISE_WEIGHT)


def share_explained(common: Floats, shift: Floats, noise: float) -> tuple[float, float]:
    """How much of the canaries' shift the suite's baseline sessions share, and the variance of that.

    A regression over the baseline sessions, drawn towards 1 (give or take 1/4) by as much as it is itself uncertain.
    """
    residual = common - shift
    square = float(residual @ residual) / max(residual.size - 1, 1) + noise
    known = float(shift @ shift) + 16 * square
    return float(np.clip((common @ shift + 16 * square) / known, 0.0, 1.0)), square / known
