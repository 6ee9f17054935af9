"""Sessions of the corpus's synthetic machines, drawn many at once: the same distribution as its `synth.py`.

`synth.py` draws one session in half a millisecond; a whole table of suites needs ten million of them.
`check` compares the two, quantile by quantile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from pytest_gpuperf.gate.compaction import block_medians

Floats = NDArray[np.float64]
Machine = Any  # synth.Machine: the corpus's folder is named on the command line
SAMPLES, ROUNDS, BLOCK = 96, 12, 8


def common(machine: Machine, rng: np.random.Generator, count: int) -> Floats:
    """What each session does to all of its tests."""
    return rng.normal(0, machine.session * np.sqrt(machine.shared), count)


def _states(m: Machine, rng: np.random.Generator, length: int, shared: Floats) -> Floats:
    count, i = shared.size, np.arange(length)
    levels = np.exp(shared + rng.normal(0, m.session * np.sqrt(1 - m.shared), count))
    states = levels[:, None] * (1 + m.warm * rng.uniform(-1, 1, count)[:, None] * np.exp(-i / 15))
    throttled = rng.random(count) < m.throttle
    steps = np.where(throttled, rng.integers(1, 4, count), 0)
    for step in range(3 if m.throttle else 0):
        at, size = rng.integers(0, length, count), rng.uniform(0.01, 0.04, count)
        states *= 1 + np.where((step < steps)[:, None] & (i >= at[:, None]), size[:, None], 0)
    if m.boost:
        mode = (rng.random(count) < m.boost)[:, None] ^ (np.cumsum(rng.random((count, length)) < 0.02, axis=1) % 2 == 1)
        states *= np.where(mode, 1 + m.boost_gap, 1)
    return states


def _observed(m: Machine, rng: np.random.Generator, states: Floats, base_us: Floats) -> Floats:
    count, length = states.shape
    noise = rng.normal(0, m.jitter, states.shape)
    noise[:, 1:] *= np.sqrt(1 - m.ar**2)
    noise = lfilter([1], [1, -m.ar], noise, axis=1)
    times = base_us[:, None] * states * np.exp(rng.normal(0, m.process, count))[:, None] * (1 + noise)
    late = np.nonzero(rng.random((count, length)) < m.hiccup)
    times[late] += m.hiccup_us * (rng.pareto(1.5, late[0].size) + 0.2)
    return np.maximum(np.round(times / m.tick_us), 1) * m.tick_us * 1e-6


def sessions(m: Machine, rng: np.random.Generator, base_us: Floats, shared: Floats) -> Floats:
    """Rows of samples, in seconds: one row for every base and shared shift."""
    return _observed(m, rng, _states(m, rng, SAMPLES, shared), base_us)


def medians(samples: Floats) -> list[tuple[float, ...]]:
    """What a baseline keeps of each row; held against the product's own rule."""
    kept = [tuple(row) for row in np.median(samples.reshape(len(samples), 16, -1), axis=2).tolist()]
    assert kept[0] == block_medians(samples[0].tolist())
    return kept


def launches(
    m: Machine, rng: np.random.Generator, base_us: Floats, ratio: Floats
) -> Iterator[tuple[list[list[float]], list[list[float]]]]:
    """Both sides of one launch for every base, in interleaved rounds."""
    states = _states(m, rng, 2 * ROUNDS * BLOCK, common(m, rng, base_us.size))
    a = _observed(m, rng, states, base_us).reshape(-1, 2 * ROUNDS, BLOCK)
    b = _observed(m, rng, states, base_us * ratio).reshape(-1, 2 * ROUNDS, BLOCK)
    rounds = np.arange(ROUNDS)
    flipped = rounds % 2
    left, right = a[:, 2 * rounds + flipped], b[:, 2 * rounds + 1 - flipped]
    yield from zip(left.tolist(), right.tolist(), strict=True)


def check(synth: Any, count: int = 4000) -> None:
    """Print how far quantiles of a session's median and of its spread are from those of `synth.py`."""
    rng = np.random.default_rng(7)
    points = [0.01, 0.1, 0.5, 0.9, 0.99]
    for name, machine in synth.DEV.items():
        slow = np.array([synth.session(machine, rng) for _ in range(count)])
        base = np.full(count, machine.base_us)
        fast = sessions(machine, rng, base, common(machine, rng, count))
        for what, figure in (("median", np.median), ("low", _tenth), ("spread", np.std), ("lag", _lag)):
            apart = np.abs(np.quantile(figure(slow, axis=1), points) / np.quantile(figure(fast, axis=1), points) - 1)
            print(f"{name:9} {what:7} quantiles apart by " + " ".join(f"{a:.2%}" for a in apart))


def _tenth(rows: Floats, axis: int) -> Floats:
    return np.quantile(rows, 0.1, axis=axis)


def _lag(rows: Floats, axis: int) -> Floats:
    return np.abs(np.diff(rows, axis=axis)).mean(axis=axis)
