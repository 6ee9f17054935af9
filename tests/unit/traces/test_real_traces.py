"""Traces that torch.profiler makes here, beside a sweep over all of their events."""

from __future__ import annotations

import gzip
import json
import sys
from itertools import pairwise

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, schedule
from torch.utils.data import DataLoader, TensorDataset

from pytest_gpuperf.traces.analyse import analyse
from pytest_gpuperf.traces.capture import quietly

WITHIN = 0.01


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A small model that gets its input from a DataLoader, for four steps."""
    path = tmp_path_factory.mktemp("traces") / "run.pt.trace.json.gz"
    model = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
    inputs = DataLoader(TensorDataset(torch.randn(48, 256)), batch_size=8)

    def save(profiler):
        profiler.export_chrome_trace(str(path))

    steps = schedule(wait=0, warmup=1, active=4, repeat=1)
    with (
        quietly(),
        torch.inference_mode(),
        profile(activities=[ProfilerActivity.CPU], schedule=steps, on_trace_ready=save) as profiler,
    ):
        for (batch,) in inputs:
            model(batch)
            sum(range(20_000))
            profiler.step()
    return path


@pytest.fixture(scope="module")
def events(path):
    with gzip.open(path, "rt") as file:
        return [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]


def swept(intervals: list[tuple[float, float]]) -> float:
    """How long at least one of them ran: between two neighbouring ends of any, some run or none does."""
    moments = sorted({moment for interval in intervals for moment in interval})
    return sum(b - a for a, b in pairwise(moments) if any(s <= a and b <= e for s, e in intervals))


def spans(events, category: str) -> list[tuple[float, float]]:
    return [(e["ts"], e["ts"] + e["dur"]) for e in events if e["cat"] == category]


def test_times_agree_with_a_sweep_over_all_operators(path, events):
    analysis = analyse(path).analysis
    (device,) = analysis.devices
    operators = spans(events, "cpu_op")
    assert device.device == "cpu"
    assert device.use.compute == pytest.approx(swept(operators) / 1e6, rel=WITHIN)
    whole = max(end for _, end in operators) - min(start for start, _ in operators)
    assert device.use.seconds == pytest.approx(whole / 1e6, rel=WITHIN)
    assert sum(device.idle.values()) == pytest.approx((whole - swept(operators)) / 1e6, rel=WITHIN)


def test_each_step_agrees_with_a_sweep_over_its_time(path, events):
    steps = [event for event in events if event["name"].startswith("ProfilerStep#")]
    found = analyse(path).analysis.steps
    assert [step.name for step in found] == [step["name"] for step in steps]
    assert len(steps) == 4
    for step, use in zip(steps, (s.uses["cpu"] for s in found), strict=True):
        start, end = step["ts"], step["ts"] + step["dur"]
        within = [(max(a, start), min(b, end)) for a, b in spans(events, "cpu_op") if a < end and b > start]
        assert use.compute == pytest.approx(swept(within) / 1e6, rel=WITHIN)
        assert use.seconds == pytest.approx(step["dur"] / 1e6, rel=WITHIN)


def test_waiting_for_the_data_loader_is_found(path):
    (device,) = analyse(path).analysis.devices
    assert {"host", "data"} <= set(device.idle)
    assert "enumerate(DataLoader)" in next(gap.host for gap in device.gaps if gap.cause == "data")


def test_the_longest_operators_are_the_outermost(path, events):
    (device,) = analyse(path).analysis.devices
    names = {kernel.name: kernel.count for kernel in device.top}
    assert names["aten::linear"] == 2 * 4
    assert "aten::addmm" not in names
    assert sum(names.values()) == device.kernels < len(spans(events, "cpu_op"))


def test_reading_needs_no_torch_and_no_pytest(path, run_python):
    done = run_python(
        "import sys; from pathlib import Path; from pytest_gpuperf.traces.analyse import analyse; "
        f"analyse(Path({str(path)!r})).timeline(); print({{'torch', 'pytest', 'scipy'}} & set(sys.modules))"
    )
    assert done == "set()"


@pytest.fixture
def run_python():
    import subprocess

    def run(code: str) -> str:
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    return run
