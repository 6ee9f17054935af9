"""0 % on the dashboard: the three explanations of study S0."""

from __future__ import annotations

import pytest

from pytest_gpuperf.measure.evidence import diagnose
from pytest_gpuperf.traces.capture import Activity, Capture


def kernels(seconds: float) -> Capture:
    return Capture((Activity("gemm", 0.0, seconds),), (), ())


NONE = Capture((), (), (Activity("aten::mm", 0.0, 0.1),))


@pytest.mark.parametrize(
    ("capture", "host_share", "cause"),
    [
        (kernels(0.08), 0.1, "samples missed: kernels ran for 80%"),
        (kernels(0.001), 0.02, "waiting for the network or another process: kernels ran for 1.0%"),
        (kernels(0.001), 0.9, "waiting for the host: kernels ran for 1.0%"),
        (NONE, 0.95, "CPU fallback: no kernel ran"),
        (NONE, 0.02, "waiting for the network or another process: no kernel of this process"),
        (None, 0.02, "waiting for the network or another process: no kernel of this process"),
    ],
)
def test_causes(capture: Capture | None, host_share: float, cause: str) -> None:
    assert diagnose(0.1, host_share, capture, works=True).startswith(cause)


def test_a_blind_profiler_leaves_a_doubt() -> None:
    assert "not certain" in diagnose(0.1, 0.9, None, works=False)
    assert "not certain" not in diagnose(0.1, 0.9, NONE, works=True)
