from __future__ import annotations

import pytest

from pytest_gpuperf.device.memory import lost


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (
            "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be",
            "an illegal memory access",
        ),
        ("CUDA error: unspecified launch failure", "CUDA error: unspecified launch failure"),
        ("CUDA error: device-side assert triggered", "device-side assert"),
        ("CUDA driver error: unknown error", "CUDA driver error: unknown error"),
        (
            "CUDA failure 214: uncorrectable ECC error encountered ; GPU=0 ; file=a.cc",
            "CUDA failure 214: uncorrectable",
        ),
        ("Triton Error [CUDA]: misaligned address", "misaligned address"),
    ],
)
def test_what_no_call_recovers_from_is_named_with_what_to_do(said: str, named: str) -> None:
    message = str(lost(RuntimeError(said)))
    assert named in message
    assert "CUDA kernel errors might be" not in message
    assert "CUDA_LAUNCH_BLOCKING=1" in message
    assert "dmesg | grep -i xid" in message


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUDA error: invalid argument", "unknown error"])
def test_other_errors_leave_the_gpu_as_it_was(said: str) -> None:
    assert lost(RuntimeError(said)) is None
