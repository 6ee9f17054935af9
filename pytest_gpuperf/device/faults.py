"""Errors of CUDA after which a process can do nothing more on the GPU."""

from __future__ import annotations

import re

from pytest_gpuperf.errors import DeviceLostError

# torch, Triton and ONNX Runtime put other words before CUDA's own.
_FATAL = re.compile(
    r"(CUDA( driver)? error|Triton Error \[CUDA\]|CUDA failure \d+): ("
    r"an illegal memory access was encountered|an illegal instruction was encountered|misaligned address"
    r"|invalid program counter|operation not supported on global/shared address space|hardware stack error"
    r"|unspecified launch failure|the launch timed out and was terminated|device-side assert triggered"
    r"|uncorrectable ECC error encountered|uncorrectable NVLink error|no CUDA-capable device is detected"
    r"|GPU is lost|unknown error)",
    re.IGNORECASE,
)


def lost(error: BaseException) -> DeviceLostError | None:
    """What to raise in place of an error that every later call on the GPU would meet again."""
    fatal = _FATAL.search(str(error))
    if fatal is None:
        return None
    return DeviceLostError(
        f"The GPU does nothing more for this process: {fatal.group()}. What was measured before is kept; nothing more "
        f"can be measured here. Find the call: CUDA_LAUNCH_BLOCKING=1 pytest ... "
        f"See whether the card failed: sudo dmesg | grep -i xid"
    )
