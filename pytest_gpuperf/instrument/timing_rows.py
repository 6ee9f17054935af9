"""The processor's clock: beside the time that the kernel counts for this thread, beside `timeit`, and beside itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from time import perf_counter, perf_counter_ns, sleep, thread_time
from timeit import Timer

import numpy as np

from pytest_gpuperf.device.canaries import at_a_page
from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.gate.observations import LEAST_MARGIN
from pytest_gpuperf.instrument.repeats import held, repeats, span_calls, warm
from pytest_gpuperf.records.certificate import Row
from pytest_gpuperf.records.units import MiB, format_seconds

_AGREES = 0.01
_STEADY = LEAST_MARGIN  # between equal measurements in one process: else no test here can tell so little
_STEP = 1e-6  # seconds: a five hundredth of a span
_WAIT = 2e-3
_TURNS = 60
_SPANS = 4  # of each, in a turn


def clock(chosen: Chosen) -> Iterator[Row]:
    """How finely it counts, what reading it costs, and a call that waits."""
    readings = [perf_counter_ns() for _ in range(20_000)]
    steps = [after - before for before, after in pairwise(readings) if after > before]
    cost = (readings[-1] - readings[0]) / len(readings) * 1e-9
    step = min(steps) * 1e-9
    yield held(
        "the clock",
        f"counts in steps of {format_seconds(step)}, and is read in {format_seconds(cost)}",
        f"<= {format_seconds(_STEP)}",
        holds=max(step, cost) <= _STEP,
    )
    inside: list[float] = []

    def wait() -> None:
        start = perf_counter()
        sleep(_WAIT)
        inside.append(perf_counter() - start)

    measured = chosen.clock.latencies(wait, 30)
    beyond = median(m - i for m, i in zip(measured, inside, strict=True)) / median(inside)
    yield held(
        "a call that waits",
        f"{format_seconds(median(measured))}, {beyond:+.2%} beside what the call itself saw",
        f"within {_AGREES:.0%}",
        holds=abs(beyond) <= _AGREES,
    )


def loop(chosen: Chosen) -> Iterator[Row]:
    """Python's own work."""

    def work() -> None:
        for _ in range(5_000):
            pass

    yield from _beside_others("a loop", work, chosen)


def product(chosen: Chosen) -> Iterator[Row]:
    """A product of one core."""
    a = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    out = np.empty_like(a)
    yield from _beside_others("a product", lambda: np.matmul(a, a, out=out), chosen)


def copy(chosen: Chosen) -> Iterator[Row]:
    """A copy within the caches."""
    source, target = at_a_page(MiB // 4), at_a_page(MiB // 4)
    yield from _beside_others("a copy", lambda: np.copyto(target, source), chosen)


def _beside_others(what: str, call: Call, chosen: Chosen) -> Iterator[Row]:
    warm(call, chosen.clock.synchronize)
    calls = span_calls(call, chosen.clock)
    yield repeats(what, call, chosen, _STEADY)

    def ours() -> float:
        return min(chosen.clock.block(call, _SPANS, calls).samples)

    def share() -> float:
        """Of the seconds that the kernel says this thread worked, in the very span that is timed."""
        worked = thread_time()
        sample = chosen.clock.block(call, 1, calls).samples[0]
        return sample * calls / (thread_time() - worked)

    beyond = median(share() for _ in range(_SPANS * _TURNS)) - 1
    yield held(
        f"{what}: beside the processor's own time",
        f"{beyond:+.2%} on a span of {format_seconds(ours() * calls)}",
        f"within {_AGREES:.0%}",
        holds=abs(beyond) <= _AGREES,
    )
    timer = Timer(call)
    pairs = _in_turns(ours, lambda: min(timer.timeit(calls) for _ in range(_SPANS)) / calls)
    ratio = median(a / b for a, b in pairs) - 1
    mine, theirs = (format_seconds(median(values)) for values in zip(*pairs, strict=True))
    yield held(
        f"{what}: beside timeit, in turns",
        f"{mine} and {theirs}: {ratio:+.2%}",
        f"within {_AGREES:.0%}",
        holds=abs(ratio) <= _AGREES,
    )


def _in_turns(ours: Callable[[], float], theirs: Callable[[], float]) -> list[tuple[float, float]]:
    """Pairs of figures; who begins changes from turn to turn, so that what drifts is nobody's gain."""
    pairs: list[tuple[float, float]] = []
    for turn in range(_TURNS):
        if turn % 2:
            b, a = theirs(), ours()
        else:
            a, b = ours(), theirs()
        pairs.append((a, b))
    return pairs
