"""Peak memory, and what to do when there is none left."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
_OUT_OF_MEMORY = frozenset({"torch.cuda.OutOfMemoryError", "torch.OutOfMemoryError"})
# What says it in words only: CUDA past torch's allocator, its libraries, Triton, torch on a processor, ONNX Runtime.
_SAYS_OUT_OF_MEMORY = re.compile(
    r"CUDA( driver)? error: out of memory|CUDA out of memory|Triton Error \[CUDA\]: out of memory"
    r"|CU[A-Z]+_STATUS_(\w+_)?ALLOC(ATION)?_FAILED|CUFFT_ALLOC_FAILED"
    r"|DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|CUDA failure 2: out of memory|BFCArena.* Failed to allocate memory",
    re.DOTALL,
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


class MemoryMeter(Protocol):
    """Peak memory between two moments."""

    @property
    def source(self) -> str:
        """Where the figure comes from: "torch allocator", "RSS"."""
        ...

    def reset(self) -> None:
        """Start a new peak."""
        ...

    def peak(self) -> int | None:
        """The largest number of bytes in use since `reset`; None where this cannot be known."""
        ...

    def allocated(self) -> int | None:
        """Bytes that tensors hold now; None where nobody counts them."""
        ...

    def release(self) -> None:
        """Give back what is cached but unused, after the device ran out of memory."""
        ...


class ResidentMemory:
    """The process's resident memory, as the kernel counts it."""

    source = "RSS"

    def __init__(self, process: Path = Path("/proc/self")) -> None:
        self._process = process
        self._known = False

    def reset(self) -> None:
        # "5" sets the high-water mark to what is resident now. Where a container forbids it, the mark is that of the
        # process's whole life and would be a wrong figure for this case.
        try:
            (self._process / "clear_refs").write_text("5")
        except OSError:
            self._known = False
        else:
            self._known = True

    def peak(self) -> int | None:
        if not self._known:
            return None
        status = (self._process / "status").read_text()
        kibibytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return None if kibibytes is None else int(kibibytes) * 1024

    def allocated(self) -> int | None:
        return None  # pages are counted here, whoever holds them

    def release(self) -> None:
        """The host's memory is given back by the allocator itself."""


@dataclass(frozen=True, slots=True)
class AllocatorMemory:
    """What torch's allocator handed out on one CUDA device: not what ONNX Runtime, cuDNN or graphs allocate."""

    reset_peak: Callable[[], None]
    read_peak: Callable[[], int]
    read_allocated: Callable[[], int]
    empty_cache: Callable[[], None]
    source: str = "torch allocator"

    def reset(self) -> None:
        self.reset_peak()

    def peak(self) -> int | None:
        return self.read_peak()

    def allocated(self) -> int | None:
        return self.read_allocated()

    def release(self) -> None:
        # After a failed allocation the device may be in a state in which even this raises: the first error is the news.
        with suppress(RuntimeError):
            self.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a workload failed for want of memory. By name: no library is imported to ask."""
    if isinstance(error, MemoryError):
        return True
    kinds = type(error).__mro__
    if any(f"{kind.__module__}.{kind.__qualname__}" in _OUT_OF_MEMORY for kind in kinds):
        return True
    may_say = isinstance(error, RuntimeError) or any(kind.__module__.startswith("onnxruntime.") for kind in kinds)
    return may_say and _SAYS_OUT_OF_MEMORY.search(str(error)) is not None
