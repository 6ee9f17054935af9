"""What a case costs beside its own timing: seconds and memory beyond a plain test's, by how many cases a suite has.

    python benchmarks/many_cases.py [--counts 300 1000 5000] [--budget 0.02] [--trees . OTHER]

Each suite is of trivial calls, recorded and then compared (nothing confirmed), in a process of its own; with `--trees`,
of several checkouts in turn. What is timed, and warming up to it, is taken off by what the run itself says of that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_gpuperf.records.files import read_run

TEST = """
import pytest

@pytest.mark.parametrize("n", range({count}))
def test_sum(gpuperf, n):
    gpuperf(sum, [1])
"""


PLAIN = TEST.replace("gpuperf, ", "").replace("gpuperf(sum, [1])", "sum([1])")


def ran(folder: Path, tree: Path, *options: str) -> tuple[float, float]:
    """Seconds, and MiB at the peak, of one session."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--gpuperf-device=cpu", *options]
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(tree)}, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in {0, 1, 7}:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, used.ru_maxrss / 1024


def measured(run: Path) -> float:
    """Seconds that were timed, or spent in warming up."""
    return sum(
        m.warmup_seconds + m.first_call + m.span_calls * sum(sum(block) for block in m.blocks)
        for case in read_run(run).cases
        for m in case.measurements
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[300, 1000, 5000])
    parser.add_argument("--budget", default="0.02")
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path(__file__).parents[1]])
    arguments = parser.parse_args()
    print(
        "| tree | cases | recording, ms a case beside the timing | MiB | run, KiB a case | comparing, the same | MiB |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for count in arguments.counts:
        for tree in arguments.trees:
            with tempfile.TemporaryDirectory() as name:
                folder, root = Path(name), tree.resolve()
                (folder / "pytest.ini").write_text("[pytest]\n")
                (folder / "test_many.py").write_text(PLAIN.format(count=count))
                start, bare = ran(folder, root)
                (folder / "test_many.py").write_text(TEST.format(count=count))
                budget = f"--gpuperf-budget={arguments.budget}"
                row = [tree.name or root.name, str(count)]
                seconds, peak = ran(folder, root, budget, "--gpuperf-save=run.json")
                row += [f"{(seconds - start - measured(folder / 'run.json')) / count * 1e3:.1f}", f"{peak - bare:.0f}"]
                row.append(f"{(folder / 'run.json').stat().st_size / count / 1024:.1f}")
                accept = [sys.executable, "-m", "pytest_gpuperf", "accept", "run.json", "--into=base.json", "--few"]
                subprocess.run(accept, cwd=folder, check=True, stdout=subprocess.DEVNULL)
                judged = ("--gpuperf-compare=base.json", "--gpuperf-confirm=off", "--gpuperf-save=again.json")
                seconds, peak = ran(folder, root, budget, *judged)
                row += [
                    f"{(seconds - start - measured(folder / 'again.json')) / count * 1e3:.1f}",
                    f"{peak - bare:.0f}",
                ]
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
