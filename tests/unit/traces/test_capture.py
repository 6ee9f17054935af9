"""What the profiler saw."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_gpuperf.traces.capture import Activity, Capture, capture, from_events, leaving, sees_kernels


def event(name: str, start: float, end: float, where: str = "CUDA", parent: object = None, **more: Any) -> Any:
    """As torch's profiler gives it: microseconds."""
    return SimpleNamespace(
        name=name,
        time_range=SimpleNamespace(start=start, end=end),
        device_type=SimpleNamespace(name=where),
        cpu_parent=parent,
        **more,
    )


def test_a_real_call_on_the_host_shows_its_operators() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
    x = torch.ones(2, 8)
    seen = capture(lambda: model(x), lambda: None, cuda=False)
    assert [o.name for o in seen.operators] == ["aten::linear", "aten::relu"]
    assert seen.kernels == ()
    assert all(o.seconds > 0 for o in seen.operators)
    assert seen.operators[0].start <= seen.operators[1].start
    assert (seen.busy, seen.gaps) == (0.0, 0.0)
    assert set(seen.longest()) == {"aten::linear", "aten::relu"}


def test_a_call_without_torch_shows_nothing() -> None:
    assert capture(lambda: sum(range(10)), lambda: None, cuda=False) == Capture((), (), ())


def test_a_call_that_raises_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        capture(lambda: 1 / 0, lambda: None, cuda=False)


def test_events_are_sorted_into_kernels_copies_and_operators() -> None:
    parent = event("aten::linear", 0, 50, "CPU")
    seen = from_events(
        [
            event("gemm", 30, 60),
            parent,
            event("aten::addmm", 5, 45, "CPU", parent),
            event("cudaLaunchKernel", 8, 9, "CPU"),
            event("Memcpy HtoD (Pageable -> Device)", 10, 20),
            event("relu", 70, 80),
            event("my region", 0, 100, is_user_annotation=True),
        ]
    )
    assert [k.name for k in seen.kernels] == ["gemm", "relu"]
    assert [c.name for c in seen.copies] == ["Memcpy HtoD (Pageable -> Device)"]
    assert [o.name for o in seen.operators] == ["aten::linear"]
    assert seen.busy == pytest.approx(40e-6)
    assert seen.gaps == pytest.approx(10e-6)
    assert seen.longest(1) == ("gemm",)


def test_kernels_side_by_side_count_once() -> None:
    seen = Capture((Activity("a", 0.0, 1.0), Activity("b", 0.5, 1.0), Activity("c", 0.6, 0.1)), (), ())
    assert seen.busy == pytest.approx(1.5)
    assert seen.gaps == 0.0


def test_nothing_was_seen() -> None:
    assert from_events([]) == Capture((), (), ())


@pytest.mark.skipif(torch.cuda.is_available(), reason="here the profiler sees kernels")
def test_a_machine_without_cuda_sees_no_kernels() -> None:
    assert not sees_kernels(0)


@pytest.mark.parametrize(
    ("cuda", "set_by_user", "asked"),
    [("13.0", None, "1"), ("12.6", None, "1"), ("12.4", None, None), (None, None, None), ("13.0", "0", "0")],
)
def test_cudas_profiling_library_is_asked_to_leave_after_a_profile(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, set_by_user: str | None, asked: str | None
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("TEARDOWN_CUPTI", raising=False)
    if set_by_user is not None:
        monkeypatch.setenv("TEARDOWN_CUPTI", set_by_user)
    steps: list[str] = []
    with leaving(lambda: steps.append("synchronized"), cuda=True):
        assert os.environ.get("TEARDOWN_CUPTI") == asked
        steps.append("profiled")
    assert steps == ["profiled", "synchronized", "synchronized"]  # it leaves at the end of a call of CUDA


def test_a_profile_of_the_processor_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEARDOWN_CUPTI", raising=False)
    capture(lambda: torch.ones(1) + 1, lambda: None, cuda=False)
    assert "TEARDOWN_CUPTI" not in os.environ
