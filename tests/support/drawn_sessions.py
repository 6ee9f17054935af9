"""Sessions drawn about known levels: cases, suites and canaries for the gate."""

from __future__ import annotations

import math

import numpy as np

from pytest_gpuperf.gate.observations import CaseEvidence, Observed
from pytest_gpuperf.gate.verdicts import SUITE


def session(name, level, rng, sd=0.002, **given):
    """Sixteen block medians about a level."""
    return Observed(name, tuple((level * np.exp(rng.normal(0, sd, 16))).tolist()), **given)


def case(rng, ratio=1.0, *, k=5, c=3, sd=0.004, shifts=None, base=1e-3):
    """A case whose sessions differ by `sd`; `shifts` says what the machine did to each session."""
    shifts = shifts or {}

    def made(name, level):
        return session(name, level * math.exp(shifts.get(name, 0.0) + rng.normal(0, sd)), rng)

    return CaseEvidence([made(f"then{i}", base) for i in range(k)], [made(f"now{i}", base * ratio) for i in range(c)])


def suite(rng, ratios, **given):
    """Cases of different length, each so many times as slow as its baseline."""
    return {f"test{i}": case(rng, r, base=1e-3 * (1 + i % 7), **given) for i, r in enumerate(ratios)}


def readings(shifts, k=5, c=3):
    """Canaries that show what the machine did to each session."""
    names = [f"then{i}" for i in range(k)] + [f"now{i}" for i in range(c)]
    return {
        n: {w: tuple(x * math.exp(shifts.get(n, 0.0)) for _ in range(8)) for w, x in (("matmul", 1e-3), ("copy", 2e-3))}
        for n in names
    }


def words(verdicts):
    """Of every case, without the suite's."""
    return [v.word for n, v in verdicts.items() if n != SUITE]
