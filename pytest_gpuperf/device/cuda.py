"""CUDA through torch: whether it is there, and the card with its clock and its allocator."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata, util
from time import perf_counter_ns
from typing import Any

from pytest_gpuperf.device import identity
from pytest_gpuperf.device.clocks import Clock
from pytest_gpuperf.device.events import CudaEventClock, Event
from pytest_gpuperf.device.memory import AllocatorMemory, MemoryMeter, is_out_of_memory
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.records.model import Device

ON_PROCESSOR = "To measure on the processor: pytest --gpuperf-device cpu, or --device cpu of a gpuperf command."
_CYCLES = 5_000_000  # 2.5 ms at 2 GHz
_WAKING = 0.3  # seconds of spinning: a card that idled goes from 345 to 1980 MHz meanwhile
_LONGEST_WAKING = 2.0
_AGREES = 0.02


@dataclass(frozen=True)
class Card:
    """An opened CUDA device."""

    device: Device
    index: int
    uuid: str | None  # as NVML knows it, but for the prefix
    pci: str | None
    hash: str | None
    software: dict[str, str]
    clock: Clock
    memory: MemoryMeter


def why_missing() -> str | None:
    """Why there is no CUDA device, and what to type; None where there is one. Cheap reasons come first."""
    if util.find_spec("torch") is None:
        return "torch is not installed. Install it with: pip install 'pytest-gpuperf[torch]'."
    if metadata.version("torch").endswith("+cpu"):
        return (
            "the installed torch is a CPU-only build. Install one for CUDA: pip install --force-reinstall torch "
            "(choose the CUDA index of its installation page)."
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1"}:
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU. Show them: unset CUDA_VISIBLE_DEVICES."
    if not _driver_library():
        return "no NVIDIA driver was found: libcuda.so.1 cannot be loaded. See what is wrong: nvidia-smi."
    return _why_torch_sees_none()  # pragma: no cover - needs a GPU


def _driver_library() -> bool:
    # Importing torch costs three seconds; a machine without the driver need not pay them.
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True  # pragma: no cover - needs a GPU


def _why_torch_sees_none() -> str | None:
    import torch  # noqa: PLC0415

    with _warnings_shown():
        if torch.cuda.is_available():
            return None
        if torch.version.cuda is None:
            return (
                "the installed torch is not built for CUDA. Install one that is: pip install --force-reinstall torch."
            )
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            return f"torch {torch.__version__} cannot use CUDA: {_first_line(error)}. See what is wrong: nvidia-smi."
    return f"torch {torch.__version__} sees no CUDA device. See what is wrong: nvidia-smi."


@contextmanager
def _warnings_shown() -> Generator[None]:
    """What torch says of an old driver or card is to be read; where warnings are errors, it would end the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def _first_line(error: Exception) -> str:
    """Without the advice of many lines that torch gives with every error of CUDA."""
    return str(error).partition("\n")[0].rstrip(". ")


def visible_count() -> int:  # pragma: no cover - needs a GPU
    """How many CUDA devices this process may use."""
    import torch  # noqa: PLC0415

    return torch.cuda.device_count()


def open_card(index: int | None) -> Card:
    """Make a card the current one. None: the one that torch would take."""
    try:
        with _warnings_shown():
            return _open(index)
    except DeviceError:
        raise
    except Exception as error:
        card = "The GPU" if index is None else f"GPU {index}"
        raise DeviceError(
            f"{card} cannot be opened: {_first_line(error)}. {_likely_cause(error)} {ON_PROCESSOR}"
        ) from error


def _likely_cause(error: Exception) -> str:
    if "busy or unavailable" in str(error):
        return "Its compute mode lets one process in, and another one uses it. See which: nvidia-smi."
    if is_out_of_memory(error):
        return "Other processes hold its memory. See which: nvidia-smi."
    return "See what is wrong: nvidia-smi."


def _open(index: int | None) -> Card:
    import torch  # noqa: PLC0415

    count = torch.cuda.device_count()
    index = torch.cuda.current_device() if index is None else index
    if index >= count:
        raise DeviceError(
            f"cuda:{index}: torch sees {count} CUDA device(s), numbered from 0. "
            f"List them: nvidia-smi -L (CUDA_VISIBLE_DEVICES renumbers them)."
        )
    torch.cuda.set_device(index)
    properties: Any = torch.cuda.get_device_properties(index)
    uuid = getattr(properties, "uuid", None)  # torch 2.4 does not have it everywhere
    cudnn = torch.backends.cudnn.version()
    versions = {
        "cuda": torch.version.cuda,
        "cudnn": None if cudnn is None else str(cudnn),
        "driver": identity.driver_version(),
    }
    return Card(
        device=Device(
            kind="cuda",
            name=properties.name,
            memory=properties.total_memory,
            capability=f"{properties.major}.{properties.minor}",
        ),
        index=index,
        uuid=None if uuid is None else str(uuid),
        pci=_bus_id(properties),
        hash=None if uuid is None else identity.card_hash(str(uuid)),
        software={name: version for name, version in versions.items() if version},
        clock=CudaEventClock(_TorchDriver(index)),
        memory=AllocatorMemory(
            reset_peak=partial(torch.cuda.reset_peak_memory_stats, index),
            read_peak=partial(torch.cuda.max_memory_allocated, index),
            read_allocated=partial(torch.cuda.memory_allocated, index),
            empty_cache=torch.cuda.empty_cache,
        ),
    )


def _bus_id(properties: Any) -> str | None:
    """As NVML writes it; older torch does not tell it."""
    if not hasattr(properties, "pci_bus_id"):
        return None
    return f"{properties.pci_domain_id:08X}:{properties.pci_bus_id:02X}:{properties.pci_device_id:02X}.0"


def spin_rate(spun: Callable[[int], float]) -> float:
    """Cycles of the spin kernel in a second, once the card is awake: it answers faster for a while until it is.

    `spun` runs so many cycles, and says how many seconds they took.
    """
    last, seconds, total = 0.0, 1.0, 0.0
    while total < _WAKING or (abs(last - seconds) > _AGREES * seconds and total < _LONGEST_WAKING):
        last, seconds = seconds, spun(_CYCLES)
        total += seconds
    return _CYCLES / seconds


class _TorchDriver:
    """One card, through torch. Events are recorded on the stream that is current when a span starts and ends."""

    def __init__(self, index: int) -> None:
        import torch  # noqa: PLC0415

        self._torch: Any = torch
        self._index = index
        self._cycles_per_second = self._rate()

    def event(self) -> Event:
        return self._torch.cuda.Event(enable_timing=True)

    def spin(self, seconds: float) -> None:
        # Private, and the only kernel of torch that waits: it is used by torch's own tests of streams.
        self._torch.cuda._sleep(max(1, int(seconds * self._cycles_per_second)))  # noqa: SLF001

    def synchronize(self) -> None:
        self._torch.cuda.synchronize(self._index)

    def ticks(self) -> int:
        return perf_counter_ns()

    def _rate(self) -> float:
        def spun(cycles: int) -> float:
            start, end = self.event(), self.event()
            start.record()
            self._torch.cuda._sleep(cycles)  # noqa: SLF001
            end.record()
            end.synchronize()
            return start.elapsed_time(end) * 1e-3

        return spin_rate(spun)
