"""What the sampler of watts costs: its share of a core, and what it does to a workload that is timed beside it.

    python benchmarks/power_sampler.py [--seconds 20] [--rounds 40]

The library is the scripted one (tests/support/nvml): a real one takes longer to answer, and the driver's time is its
own. The timed workload is a millisecond of Python, which shares the interpreter's lock with the sampler: the worst
case. Blocks with and without the sampler alternate; shown is the ratio of their medians, the median over all rounds,
and beside it the same for two kinds of blocks that are both without it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, thread_time

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from nvml.standin import SCRIPT, Gpu, Machine, build, load

from pytest_gpuperf.device import power
from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.counter import Meter
from pytest_gpuperf.device.power import Sampler
from pytest_gpuperf.device.visible import visible_devices

CALLS = 200  # of the workload in a block


class Metered(Sampler):
    """A sampler that knows the processor time of its thread."""

    seconds = 0.0

    def _run(self) -> None:
        super()._run()
        self.seconds = thread_time()


def workload() -> int:
    return sum(range(40_000))


def block(meter: Meter | None) -> float:
    """The median of a block's calls, in seconds."""
    samples: list[float] = []
    with nullcontext() if meter is None else Sampler(meter):
        for _ in range(CALLS):
            start = perf_counter()
            workload()
            samples.append(perf_counter() - start)
    return median(samples)


def mean_block(meter: Meter | None) -> float:
    """The mean of a block's calls: what the sampler takes shows here wherever it falls."""
    with nullcontext() if meter is None else Sampler(meter):
        start = perf_counter()
        for _ in range(CALLS):
            workload()
        return (perf_counter() - start) / CALLS


def ratios(meter: Meter, rounds: int, timed) -> tuple[list[float], list[float]]:
    """With over without, and without over without, round by round."""
    with_over, without_over = [], []
    for number in range(rounds):
        order = [(None, "a"), (meter, "b"), (None, "c")]
        found = {name: timed(which) for which, name in (order if number % 2 else order[::-1])}
        with_over.append(found["b"] / found["a"])
        without_over.append(found["c"] / found["a"])
    return with_over, without_over


def shown(values: list[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.4f} (quartiles {low:.4f} to {high:.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SCRIPT] = str(Path(folder) / "machine")
        Machine(Path(folder) / "machine", Gpu(counter_period=0.1, processes=((os.getpid(), 1),)))
        load(build(Path(folder) / "lib"))
        meter = GpuMeter(visible_devices({})[0])
        with Metered(meter) as sampler:
            time.sleep(options.seconds)
        share = sampler.seconds / options.seconds
        print(
            f"sampler, {1 / power.INTERVAL:.0f} samples a second: {share:.2%} of a core ({len(sampler.watts)} samples)"
        )
        for name, timed in (("median", block), ("mean", mean_block)):
            beside, alone = ratios(meter, options.rounds, timed)
            print(f"{name} of a timed call, with / without: {shown(beside)}; without / without: {shown(alone)}")


if __name__ == "__main__":
    main()
