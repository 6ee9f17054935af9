"""The stock pytest-benchmark, in processes of its own: the files it writes, and its own `compare`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest

@pytest.mark.parametrize("size", [10, 1000])
@pytest.mark.parametrize("kind", ["list", "tuple"])
def test_sum(benchmark, kind, size):
    values = {"list": list, "tuple": tuple}[kind](range(size))
    benchmark(sum, values)

def test_few_rounds(benchmark):
    benchmark.pedantic(sorted, args=(list(range(100)),), rounds=7, iterations=3)

def test_one_round(benchmark):
    benchmark.pedantic(sorted, args=([3, 2, 1],), rounds=1, iterations=1)

@pytest.mark.parametrize("shape", [(2, 3), {"a": 1}], ids=["pair", "named"])
def test_shapes(benchmark, shape):
    benchmark.pedantic(len, args=(shape,), rounds=6, iterations=100)
"""


def record(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite; by default into bench.json."""
    (folder / "test_bench.py").write_text(SUITE)
    arguments = arguments or ("--benchmark-json", "bench.json")
    quick = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "5", "--benchmark-calibration-precision", "2")
    return _run(folder, "pytest", "-q", "-p", "no:cacheprovider", *quick, *arguments)


def compare(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """What its command line says of files."""
    return _run(folder, "pytest_benchmark", "compare", *files)


def _run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Our own tests run in workers of pytest-xdist, in which it measures nothing.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
