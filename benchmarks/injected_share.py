"""How much slower the self-test's extra work really makes its workloads, beside what it was asked for.

    python benchmarks/injected_share.py [--rounds 400]

The plain workload and the slowed one take turns; shown is the median of their ratios, less one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.instrument import workloads
from pytest_gpuperf.instrument.slowdown import slowed

SHARES = (0.01, 0.02, 0.03, 0.05, 0.1)
CALLS = 10  # in one span


class Caught:
    """Stands for the fixture `gpuperf`: keeps the workload that a test of the self-test would measure."""

    device = "cpu"
    workload: Callable[[], object]

    def __call__(self, workload: Callable[[], object]) -> None:
        self.workload = workload


def span(call: Callable[[], object]) -> float:
    start = perf_counter()
    for _ in range(CALLS):
        call()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args()
    chosen = choose_device("cpu")
    tests = (workloads.test_matrix_product, workloads.test_copy, workloads.test_small_calls)
    print("| asked for | " + " | ".join(test.__name__ for test in tests) + " |\n|---:|---:|---:|---:|")
    for share in SHARES:
        found = []
        for test in tests:
            caught = Caught()
            test(caught)
            slower = slowed(caught.workload, share, chosen)
            ratios = [span(slower) / span(caught.workload) for _ in range(options.rounds)]
            found.append(f"{median(ratios) - 1:.1%}")
        print(f"| {share:.0%} | " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    main()
