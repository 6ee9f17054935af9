"""The machine's own shift, told by fixed work that runs no user code. Nothing else may explain a shift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.evidence import Canaries
from pytest_gpuperf.analysis.quantiles import middle_of_variances

_NOISE = 0.003  # what one canary's session differs by itself, until several canaries show it
_NOISE_WEIGHT = 2.0  # worth as many degrees of freedom


@dataclass(frozen=True, slots=True)
class Shifts:
    """How much slower the machine was in each session: log ratios to their middle, and how well that is known."""

    by_session: Mapping[str, float]
    variance: float  # of one session's shift


def machine_shifts(canaries: Canaries | None, sessions: Iterable[str]) -> Shifts | None:
    """None where a session lacks canaries, or the sessions have none in common: then nothing is explained."""
    wanted = sorted(set(sessions))
    if canaries is None or len(wanted) < 2 or any(not canaries.get(s) for s in wanted):
        return None
    names = [n for n in sorted(canaries[wanted[0]]) if all(canaries[s].get(n) for s in wanted)]
    if not names:
        return None
    logs = np.array([[float(np.log(np.quantile(canaries[s][n], 0.25))) for n in names] for s in wanted])
    logs -= np.median(logs, axis=0)
    shift = np.median(logs, axis=1)
    return Shifts(dict(zip(wanted, (float(s) for s in shift), strict=True)), _noise(logs) / len(names))


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
