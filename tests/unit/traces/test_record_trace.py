"""Recording a trace: steps of whole calls, and no file where there is nothing to see."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from pytest_gpuperf.traces.record_trace import record_trace


def recorded(call, into: Path, seconds: float = 1e-3) -> bool:
    return record_trace(call, into, lambda: None, cuda=False, seconds=seconds)


@pytest.mark.parametrize(("seconds", "calls"), [(1e-3, 5), (0.9, 2), (3.0, 1)])
def test_each_step_holds_one_call_and_slow_calls_are_fewer(tmp_path, seconds, calls):
    x, made = torch.ones(4), []
    assert recorded(lambda: made.append(x + 1), tmp_path / "a.json.gz", seconds)
    assert len(made) == calls + 1  # the first is not kept
    events = json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes()))["traceEvents"]
    steps = [e for e in events if e.get("cat") == "user_annotation" and e["name"].startswith("ProfilerStep#")]
    additions = [e for e in events if e.get("name") == "aten::add"]
    assert len(steps) == len(additions) == calls
    for step, addition in zip(*(sorted(part, key=lambda e: e["ts"]) for part in (steps, additions)), strict=True):
        assert step["ts"] <= addition["ts"]
        assert addition["ts"] + addition["dur"] <= step["ts"] + step["dur"]


def test_a_call_without_torch_has_no_file(tmp_path):
    assert not recorded(lambda: sum(range(10)), tmp_path / "a.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_is_none(tmp_path):
    (tmp_path / "a.json.gz").mkdir()
    with pytest.raises(OSError, match=r"a\.json\.gz"):
        recorded(lambda: torch.ones(1) + 1, tmp_path / "a.json.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json.gz"]
