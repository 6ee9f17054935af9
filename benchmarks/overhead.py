"""What timing itself adds to a sample, beside timeit, pytest-benchmark and torch.utils.benchmark, on the processor.

    python benchmarks/overhead.py [--rounds 15]

Every tool times the same function in turn, round by round, so that all meet the same machine. Grouped spans are
compared by each tool's fastest sample, in blocks of like length, since what the neighbours take is nobody's overhead;
single calls by their median. Shown is the median over the rounds, of the figure and of its ratio.
"""

from __future__ import annotations

import argparse
import platform
import timeit
from collections.abc import Callable
from importlib import metadata
from statistics import median
from time import perf_counter, perf_counter_ns
from types import SimpleNamespace

from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.logger import Logger
from pytest_benchmark.utils import NameWrapper

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.records.units import format_seconds

SINGLE_CALLS = 300
BLOCK_SECONDS = 1e-3


def empty() -> None:
    """Nothing at all: what is left is the tool's own."""


def microsecond() -> int:
    return sum(range(130))


def millisecond() -> int:
    return sum(range(75_000))


WORKLOADS = {"empty": empty, "~1 us": microsecond, "~1 ms": millisecond}


def gpuperf_spans(call: Callable[[], object]) -> float:
    chosen = choose_device("cpu")
    return measure(
        call, items=1, plan=Plan(), clock=chosen.clock, memory=chosen.memory, session="overhead"
    ).device_time.low


def gpuperf_single(call: Callable[[], object]) -> float:
    return median(choose_device("cpu").clock.latencies(call, SINGLE_CALLS))


def timeit_grouped(call: Callable[[], object]) -> float:
    timer = timeit.Timer(call, timer=perf_counter)
    number = max(1, int(BLOCK_SECONDS / (timer.timeit(10) / 10)))
    return min(timer.repeat(300, number)) / number


def _fixture() -> BenchmarkFixture:
    """The fixture with pytest-benchmark's default options; only it runs for 0.3 s, not 1 s, as the others do."""
    return BenchmarkFixture(
        SimpleNamespace(name="overhead", nodeid="overhead"),
        disable_gc=False,
        timer=NameWrapper(perf_counter),
        min_rounds=5,
        min_time=5e-6,
        max_time=0.3,
        precision=None,
        confidence=None,
        warmup=False,
        warmup_iterations=0,
        calibration_precision=10,
        add_stats=lambda _: None,
        logger=Logger(Logger.QUIET),
        warner=None,
        disabled=False,
        cprofile=None,
        cprofile_loops=None,
        cprofile_dump=None,
    )


def benchmark_calibrated(call: Callable[[], object]) -> float:
    fixture = _fixture()
    fixture(call)
    return fixture.stats.stats.min


def benchmark_pedantic(call: Callable[[], object]) -> float:
    fixture = _fixture()
    fixture.pedantic(call, rounds=SINGLE_CALLS, iterations=1)
    return fixture.stats.stats.median


def torch_timer(call: Callable[[], object]) -> float:
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": call})
    number = max(1, int(BLOCK_SECONDS / timer.timeit(10).mean))
    return min(timer.timeit(number).mean for _ in range(300))


TOOLS = {
    "timeit": timeit_grouped,
    "gpuperf, spans": gpuperf_spans,
    "pytest-benchmark, calibrated": benchmark_calibrated,
    "torch.utils.benchmark": torch_timer,
    "pytest-benchmark, pedantic": benchmark_pedantic,
    "gpuperf, single calls": gpuperf_single,
}
BESIDE = dict.fromkeys(TOOLS, "timeit") | {"gpuperf, single calls": "pytest-benchmark, pedantic"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    device = choose_device("cpu").device
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("pytest-benchmark", "torch"))
    print(f"{device.name}, {device.cores} cores; Python {platform.python_version()}, {versions}; {rounds} rounds\n")
    print("| function | tool | per call | ratio (low-high of the rounds) |\n|---|---|---:|---|")
    for workload, call in WORKLOADS.items():
        figures: dict[str, list[float]] = {name: [] for name in TOOLS}
        for turn in range(rounds):
            names = list(TOOLS)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                figures[name].append(TOOLS[name](call))
        for name, of_tool in figures.items():
            ratios = sorted(a / b for a, b in zip(of_tool, figures[BESIDE[name]], strict=True))
            print(
                f"| {workload} | {name} | {format_seconds(median(of_tool))} | {median(ratios):.2f} of {BESIDE[name]}"
                f" ({ratios[0]:.2f}-{ratios[-1]:.2f}) |"
            )
    print(f"\nOne reading of the host's clock: {format_seconds(_clock_cost())}")


def _clock_cost() -> float:
    start = perf_counter_ns()
    for _ in range(100_000):
        perf_counter_ns()
    return (perf_counter_ns() - start) * 1e-9 / 100_000


if __name__ == "__main__":
    main()
