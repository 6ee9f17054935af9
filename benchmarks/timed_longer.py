"""What timing for longer would tell: how far fresh processes differ in a case, by how long each of them measured it.

    python benchmarks/timed_longer.py [--processes 8]

Every process measures the quick suite's small models for six seconds each. The first part of those samples is what a
shorter measurement would have seen, so that all lengths saw the same machine. The figure of a process is the gate's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import accumulate, product
from statistics import fmean, stdev

from pytest_gpuperf.gate import Observed, block_medians
from pytest_gpuperf.gate.session_cost import locations

LENGTHS = (0.5, 1.0, 2.0, 4.0, 6.0)  # seconds of timed calls
CASES = tuple(product(("resnet50", "vit_b_16"), ("fp32", "autocast_bf16"), (1, 8)))


def child() -> None:
    """Measure every case for the greatest length, and print seconds a call, of spans, with calls a span."""
    import torch

    from pytest_gpuperf.backends import opened
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.measure.cache import workload_call
    from pytest_gpuperf.measure.plan import Plan
    from pytest_gpuperf.measure.sampler import measure
    from pytest_gpuperf.models import load

    torch.set_num_threads(1)
    chosen = choose_device("cpu")
    plan = Plan(budget=4 * LENGTHS[-1], min_timed=LENGTHS[-1], precision=1.0)
    found = []
    for model, precision, batch in CASES:
        with opened(load(model, "smoke"), batch, precision=precision, device="cpu") as network:
            call = workload_call(network, network.inputs, plan, chosen)
            measured = measure(call, items=1, plan=plan, clock=chosen.clock, memory=chosen.memory, session="longer")
        found.append((measured.samples, measured.span_calls))
    json.dump(found, sys.stdout)


def first(samples: list[float], calls: int, seconds: float) -> list[float]:
    """As many samples as so many seconds of timed calls hold."""
    spent = accumulate(sample * calls for sample in samples)
    return [sample for sample, until in zip(samples, spent, strict=True) if until <= seconds * 1.001]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return
    command = [sys.executable, __file__, "--child"]
    processes = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.processes)
    ]
    names = ["-".join(map(str, case)) for case in CASES]
    print("Percent between processes (one standard deviation), by seconds of timed calls in each.\n")
    print("| case | " + " | ".join(f"{length:g} s" for length in LENGTHS) + " |\n|---" + len(LENGTHS) * "|---" + "|")
    columns = [spreads(processes, length) for length in LENGTHS]
    for name, row in zip(names, zip(*columns, strict=True), strict=True):
        print(f"| {name} | " + " | ".join(f"{100 * spread:.2f}" for spread in row) + " |")
    together = (fmean(spread**2 for spread in column) ** 0.5 for column in columns)
    print("| root mean square | " + " | ".join(f"{100 * spread:.2f}" for spread in together) + " |")


def spreads(processes: list[list[tuple[list[float], int]]], seconds: float) -> list[float]:
    """How far the processes differ, case by case."""
    cases = zip(*processes, strict=True)
    return [
        stdev(locations([Observed("", block_medians(first(*measured, seconds))) for measured in case])[0])
        for case in cases
    ]


if __name__ == "__main__":
    main()
