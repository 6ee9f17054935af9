"""How long the quick suite takes, and how much of that is spent in timed calls.

    python benchmarks/timed_share.py [--budget 10]

Runs `pytest tests/perf -m quick --gpuperf-device cpu` in a fresh process. Timed are the samples and the single calls;
the rest is starting Python and torch, building models, warming up, canaries, evidence and reports.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_gpuperf.results.files import read_run

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="10")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "run.json"
        suite = ["tests/perf", "-m", "quick", "--gpuperf-device", "cpu", "--gpuperf-budget", options.budget]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *suite, "--gpuperf-save", str(saved)], cwd=ROOT, check=True
        )
        wall = time.perf_counter() - start
        run = read_run(saved)
    print("\n| case | samples | ended | timed s | warm-up s |\n|---|---|---|---|---|")
    timed = warm = 0.0
    for case in run.cases:
        (measured,) = case.measurements
        seconds = sum(measured.samples) * measured.span_calls
        if measured.span_calls > 1:
            seconds += sum(measured.latencies)
        timed += seconds
        warm += measured.warmup_seconds
        name = case.id.partition("[")[2].rstrip("]")
        print(
            f"| {name} | {len(measured.samples)} | {measured.ended} | {seconds:.2f} | {measured.warmup_seconds:.2f} |"
        )
    print(
        f"\nwall {wall:.1f} s, timed calls {timed:.1f} s ({timed / wall:.0%}), warm-up {warm:.1f} s ({warm / wall:.0%})"
    )


if __name__ == "__main__":
    main()
