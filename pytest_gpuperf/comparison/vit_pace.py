"""How long a session of a case will take, by what was measured of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from statistics import median

from pytest_gpuperf.records.vit_space import EAGER, MODES, VitCase

_GUESSED_RATE = {"cpu": 1e11, "cuda": 1e14}  # operations a second, before anything was measured
_GUESSED_START = 15.0  # seconds beyond the calls: Python, libraries, the model, ...
_GUESSED_COMPILED = 90.0  # ... and a compiler
_A_WEIGHT = 4e-8  # seconds to draw one, and to bring it to the device
_LEAST, _MOST = 3.0, 24.0  # seconds of warm-up, timed calls and energy
_CALLS = 40.0  # that they are, where calls are slow ...
_ALWAYS = 6.0  # ... and calls that are made however long they take: the first, those for evidence and a profile


@dataclass(frozen=True)
class Pace:
    """What is known of the time that cases take."""

    kind: str  # of device
    calls: Mapping[VitCase, float] = field(default_factory=dict[VitCase, float])  # seconds of a call
    taken: Sequence[tuple[VitCase, float]] = ()  # sessions, with the seconds that each took

    def seconds(self, case: VitCase) -> float:
        """Of one session, from the start of its process to its end."""
        alike = [taken - self._working(other) for other, taken in self.taken if other.way == case.way]
        guess = _GUESSED_COMPILED if case.way in MODES and case.way != EAGER else _GUESSED_START
        return self._working(case) + max(0.0, median(alike) if alike else guess)

    def call(self, case: VitCase) -> float:
        """Seconds of one call: as measured, or as the case of the nearest size does its operations."""
        if case in self.calls:
            return self.calls[case]
        if not self.calls:
            return case.flops / _GUESSED_RATE[self.kind]
        nearest = min(self.calls, key=lambda known: abs(log(known.flops / case.flops)))
        return self.calls[nearest] * case.flops / nearest.flops

    def _working(self, case: VitCase) -> float:
        call = self.call(case)
        return min(_LEAST + _CALLS * call, _MOST) + _ALWAYS * call + _A_WEIGHT * case.vit.parameters
