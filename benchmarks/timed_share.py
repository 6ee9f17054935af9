"""How long the quick suite takes, and how much of that is spent in timed calls.

    python benchmarks/timed_share.py [--rounds 3] [--budget 10]

Runs `pytest tests/perf -m quick --gpuperf-device cpu` in fresh processes, in turn with the same under
`--gpuperf-disable`, which imports and builds the same and calls each model once. Timed are the samples and the single
calls between them. All else is counted against us: starting Python, importing torch and torchvision, building models,
warming up, canaries, evidence, reports, and Python's end. The share of what measuring adds leaves out what the disabled
suite takes too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.records.model import Measurement, Run

ROOT = Path(__file__).parents[1]
SUITE = ("tests/perf", "-m", "quick", "--gpuperf-device", "cpu")


class Round(NamedTuple):
    """Seconds."""

    wall: float
    disabled: float
    timed: float
    warm: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", default="10")
    options = parser.parse_args()
    took("--gpuperf-disable")  # what is read from the disk for the first time counts for neither
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "run.json"
        for _ in range(options.rounds):
            disabled = took("--gpuperf-disable")
            wall = took("--gpuperf-budget", options.budget, "--gpuperf-save", str(saved))
            run = read_run(saved)
            measured = [case.measurements[0] for case in run.cases]
            rounds.append(Round(wall, disabled, sum(map(timed, measured)), sum(m.warmup_seconds for m in measured)))
    print_cases(run)
    print(
        "\n| wall s | disabled s | timed s | of wall | of what measuring adds | warm-up s |\n|---|---|---|---|---|---|"
    )
    for seen in [*rounds, Round(*map(median, zip(*rounds, strict=True)))]:
        shares = f"{seen.timed / seen.wall:.0%} | {seen.timed / (seen.wall - seen.disabled):.0%}"
        print(f"| {seen.wall:.1f} | {seen.disabled:.1f} | {seen.timed:.1f} | {shares} | {seen.warm:.1f} |")
    print("\nThe last line holds the medians.")


def took(*arguments: str) -> float:
    """Seconds from the start of a fresh process to its end."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", *SUITE, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def timed(measured: Measurement) -> float:
    """Seconds in samples and in the single calls between them, which are the samples where a span is one call."""
    singles = sum(measured.latencies) if measured.span_calls > 1 else 0.0
    return sum(measured.samples) * measured.span_calls + singles


def print_cases(run: Run) -> None:
    print("| case, in the last round | samples | ended | timed s | warm-up s |\n|---|---|---|---|---|")
    for case in run.cases:
        (measured,) = case.measurements
        name = case.id.partition("[")[2].rstrip("]")
        seconds = f"{timed(measured):.2f} | {measured.warmup_seconds:.2f}"
        print(f"| {name} | {len(measured.samples)} | {measured.ended} | {seconds} |")


if __name__ == "__main__":
    main()
