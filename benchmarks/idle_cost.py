"""What the plugin costs a project that merely has it installed.

    python benchmarks/idle_cost.py [--tests 5000] [--rounds 7]

Collects and runs trivial tests in fresh processes, in turn: without plugins, with pytest-gpuperf, with
pytest-benchmark. The ratios are taken round by round, so that a machine whose speed drifts does not decide.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LANES = {
    "pytest alone": [],
    "with pytest-gpuperf": ["-p", "pytest_gpuperf.plugin"],
    "with pytest-benchmark": ["-p", "pytest_benchmark.plugin"],
}


def once(folder: Path, plugins: list[str]) -> float:
    """Seconds of one process."""
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, str(folder)]
    start = time.perf_counter()
    subprocess.run(command, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = "import pytest\n\n@pytest.mark.parametrize('i', range({}))\ndef test_plain(i):\n    pass\n"
        for part in range(10):
            (folder / f"test_{part}.py").write_text(body.format(options.tests // 10))
        times: dict[str, list[float]] = {lane: [] for lane in LANES}
        for number in range(options.rounds + 1):
            for lane, plugins in LANES.items():
                seconds = once(folder, plugins)
                if number:  # the first round warms the file cache
                    times[lane].append(seconds)
    alone = times["pytest alone"]
    print(f"{options.tests} trivial tests, {options.rounds} rounds in turn\n")
    print("| lane | median s | ratio to pytest alone, median of rounds |\n|---|---|---|")
    for lane, seconds in times.items():
        ratio = statistics.median(s / a for s, a in zip(seconds, alone, strict=True))
        print(f"| {lane} | {statistics.median(seconds):.2f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
