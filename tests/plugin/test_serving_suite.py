"""The serving suite as a user runs it: real servers, started, loaded, proven and stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from served import require_triton

from pytest_gpuperf.records.files import read_run

ROOT = Path(__file__).parents[2]
QUICK = ("--gpuperf-device", "cpu", "--gpuperf-budget", "1", "-p", "no:cacheprovider")


@pytest.mark.parametrize("backend", ["torch", "triton-onnx"])
def test_many_at_once(tmp_path, backend):
    if backend.startswith("triton"):
        require_triton()
    file = tmp_path / "run.json"
    test = f"tests/perf/serving/test_serving.py::test_many_at_once[{backend}-smoke-4]"
    command = [sys.executable, "-m", "pytest", test, *QUICK, "-rs", "--gpuperf-save", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (case,) = read_run(file).cases
    (measured,) = case.measurements
    assert measured.evidence.verdict == "proven"
    load = measured.load
    assert load.server == backend
    assert load.mean_batch > 1  # dynamic batching is seen to work
    assert load.round_trip.asked == "gpuperf_null"
    parts = load.breakdown
    assert parts.compute_infer > 0
    assert parts.queue + parts.compute_infer < load.latency.mean
