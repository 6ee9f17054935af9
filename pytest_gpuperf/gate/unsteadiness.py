"""Why the sessions of one case differ: two modes, a drift, neighbours on the machine, or nothing that they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, sqrt
from statistics import median
from typing import Literal

import numpy as np

from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.machine_shift import machine_shifts
from pytest_gpuperf.gate.observations import Canaries, Observed
from pytest_gpuperf.gate.session_cost import locations
from pytest_gpuperf.gate.spread import FLOOR, student
from pytest_gpuperf.records.units import format_seconds

Kind = Literal["bimodal", "drift", "neighbours", "few", "noisy"]

SHOWN_FROM = 5  # sessions from which on a pattern in them is more than chance
_SURE = 2.33  # standard deviations: of sessions in a drawn order, one in fifty seems to drift
_SURE_SHARE = 0.99  # one in a hundred seems to follow the canaries
_DISTURBED = 0.05  # a quarter of a session's blocks is slower than its lowest by more
_OF_OTHERS = 0.4  # of the margin: sessions that differ by less are not what makes it wide


@dataclass(frozen=True)
class Unsteadiness:
    """What the sessions show, and the figures that show it."""

    kind: Kind
    text: str


def why_unsteady(sessions: Sequence[Observed], canaries: Canaries, margin: float) -> Unsteadiness:
    """Of sessions in the order in which they were measured, which can tell no less than that margin."""
    figures, _ = locations(sessions)
    if len(sessions) < SHOWN_FROM:
        return Unsteadiness("few", f"{len(sessions)} sessions say little about the next")
    modes = _modes(figures)
    if not modes and _drifts(figures):
        first, last = format_seconds(exp(figures[0])), format_seconds(exp(figures[-1]))
        return Unsteadiness("drift", f"from {first} in the first to {last} in the last of {len(sessions)} sessions")
    beside = _neighbours(sessions, figures, canaries, margin)
    if beside:
        return Unsteadiness("neighbours", beside)
    if modes:
        (low, high) = (f"near {format_seconds(median(mode))}" for mode in modes)
        return Unsteadiness("bimodal", f"{len(modes[0])} sessions {low}, {len(modes[1])} {high}")
    differ = expm1(float(np.ptp(figures)))
    if differ < _OF_OTHERS * margin:
        return Unsteadiness(
            "noisy", f"its own sessions differ by {differ:.1%}, but other cases, or other days, by more"
        )
    return Unsteadiness("noisy", f"its sessions differ by {differ:.1%}, with no pattern in them")


def _modes(figures: Floats) -> tuple[list[float], list[float]] | None:
    """Two groups of sessions, in seconds, that lie much further apart than either is wide.

    How much further depends on how many they are: of normal sessions one case in 25 seems to have two modes at five,
    one in 100 at eight.
    """
    ordered = np.sort(figures)
    at = 2 + int(np.argmax(np.diff(ordered)[1:-1]))  # the widest gap that leaves two on either side
    low, high = ordered[:at], ordered[at:]
    widest = max(float(np.ptp(low)), float(np.ptp(high)), FLOOR)
    if float(high[0] - low[-1]) <= widest * (1 + 10 / len(ordered)):
        return None
    return np.exp(low).tolist(), np.exp(high).tolist()


def _drifts(figures: Floats) -> bool:
    """Kendall's: whether more pairs of sessions rise (or fall) than a drawn order would show."""
    count = len(figures)
    earlier, later = np.triu_indices(count, 1)
    rising = abs(float(np.sign(figures[later] - figures[earlier]).sum()))
    return rising > _SURE * sqrt(count * (count - 1) * (2 * count + 5) / 18)


def _neighbours(sessions: Sequence[Observed], figures: Floats, canaries: Canaries, margin: float) -> str:
    """What else the machine did: fixed work moved with the case, or parts of sessions were far slower than others."""
    moved = _moved_with(sessions, figures, canaries)
    if moved:
        return f"fixed work (the canaries) was up to {moved:.1%} slower in the same sessions: the machine itself was"
    limit = max(_DISTURBED, margin / 2)  # within sessions they differ about as much as sessions do
    above = [float(np.quantile(s.medians, 0.75)) / exp(low) - 1 for s, low in zip(sessions, figures, strict=True)]
    disturbed = [a for a in above if a > limit]
    if len(disturbed) < max(2, len(sessions) / 4):
        return ""
    return (
        f"in {len(disturbed)} of {len(sessions)} sessions a quarter of the time was {min(disturbed):.0%} or more "
        f"slower than its quickest parts: other work disturbed it"
    )


def _moved_with(sessions: Sequence[Observed], figures: Floats, canaries: Canaries) -> float:
    """By how much the canaries moved between sessions, where the case moved with them; else 0."""
    names = [s.id for s in sessions]
    shifts = machine_shifts(canaries, names, ())
    if shifts is None:
        return 0.0
    shift = np.array([shifts.before[name] for name in names])
    if min(np.ptp(shift), np.ptp(figures)) < FLOOR or np.ptp(shift) < np.ptp(figures) / 2:
        return 0.0
    alike = float(np.corrcoef(shift, figures)[0, 1])
    freedom = len(names) - 2
    needed = float(student(_SURE_SHARE, freedom))
    return expm1(float(np.ptp(shift))) if alike > needed / sqrt(needed**2 + freedom) else 0.0
