"""Power: how often the counter moves, what it says of equal work, and whether the sampled watts agree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import mean, median
from time import monotonic

import numpy as np

from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.device.power import GpuPower, Sampler
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.instrument.repeats import spread, warm
from pytest_gpuperf.records.certificate import Row, impossible, judged
from pytest_gpuperf.records.enough_energy import ENOUGH_SECONDS
from pytest_gpuperf.records.units import format_seconds

held = partial(judged, "power")

_SLOWEST_COUNTER = 0.2  # seconds: a window of five has 25 of its steps
_IDLE_SHARE = 0.5  # of the power limit
_RISE = 1.1
_WINDOWS = 3
_STEADY = {"cuda": 0.02, "cpu": 0.05}  # a processor's counter counts everybody's work
_AGREES = 0.05
_SECONDS_OF_WATTS = 1.0


def counter(chosen: Chosen) -> Iterator[Row]:
    """The counter's period; and on a GPU idle power, and power at work."""
    period = GpuPower(chosen.sensors.meter, chosen.clock.synchronize).period
    what = "the energy counter's period"
    if isinstance(period, Missing):
        yield impossible("power", what, period.reason)
    else:
        bar = f"<= {format_seconds(_SLOWEST_COUNTER)}"
        yield held(what, format_seconds(period), bar, holds=period <= _SLOWEST_COUNTER)
    if chosen.device.kind == "cuda":
        yield from _idle_and_busy(chosen)


def _idle_and_busy(chosen: Chosen) -> Iterator[Row]:
    idle, limit = chosen.sensors.idle_watts, chosen.device.power_limit
    if isinstance(idle, Missing):
        yield impossible("power", "idle power", idle.reason)
        return
    if limit:
        figure = f"{idle:.1f} W of {limit:.0f} W"
        yield held("idle power", figure, f"<= {_IDLE_SHARE:.0%} of the limit", holds=idle <= _IDLE_SHARE * limit)
    work, _ = _work(chosen)
    with Sampler(chosen.sensors.meter) as sampler:
        warm(work, chosen.clock.synchronize, _SECONDS_OF_WATTS)
    if not sampler.watts:
        yield impossible("power", "power at work", "no watts were sampled")
        return
    busy = max(watts for _, watts in sampler.watts)
    figure = f"{busy:.1f} W, {idle:.1f} W idle"
    yield held("power at work", figure, f">= {_RISE:.1f} x idle", holds=busy >= _RISE * idle)


def equal_windows(chosen: Chosen) -> Iterator[Row]:
    """Joules a call of three windows of five seconds, and the counter beside the watts that were sampled in them."""
    what = f"joules a call in {_WINDOWS} windows of {ENOUGH_SECONDS:.0f} s"
    power = GpuPower(chosen.sensors.meter, chosen.clock.synchronize)
    if isinstance(power.period, Missing) and isinstance(power.watts(), Missing):
        yield impossible("power", what, power.period.reason)
        return
    work, calls_each = _work(chosen)
    warm(work, chosen.clock.synchronize, 1.0)
    joules: list[float] = []
    beside: list[float] = []
    method = ""
    for _ in range(_WINDOWS):
        with Sampler(chosen.sensors.meter) as sampler, power() as window:
            start, calls = monotonic(), 0
            while monotonic() - start < ENOUGH_SECONDS:
                work()
                chosen.clock.synchronize()
                calls += calls_each
            end = monotonic()
        found = window.energy
        if isinstance(found.joules, Missing):
            yield impossible("power", what, found.joules.reason)
            return
        joules.append(found.joules / calls)
        method = found.method
        inside = [watts for at, watts in sampler.watts if start <= at <= end]
        if inside and method.startswith("energy counter"):
            beside.append(mean(inside) * found.seconds / found.joules - 1)
    bar = _STEADY[chosen.device.kind]
    figure = f"{median(joules):.4g} J, widest {spread(joules):.2%}; {method}"
    yield held(what, figure, f"<= {bar:.0%}", holds=spread(joules) <= bar)
    if beside:
        off = median(beside)
        figure = f"{off:+.2%}"
        yield held("sampled watts beside the counter", figure, f"within {_AGREES:.0%}", holds=abs(off) <= _AGREES)


def _work(chosen: Chosen) -> tuple[Call, int]:
    """Something that keeps the device busy, below the power limit where there is one; and its calls at a time."""
    if chosen.device.kind == "cpu":
        a = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
        return lambda: [a @ a for _ in range(100)], 100
    import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

    b = torch.randn(1024, 1024, device=chosen.torch_name)  # pragma: no cover - needs a GPU
    return lambda: [b @ b for _ in range(50)], 50  # pragma: no cover - needs a GPU
