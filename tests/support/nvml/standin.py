"""A machine with GPUs, as far as NVML can tell: the stand-in library, built by gcc and loaded by the real pynvml."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from ctypes import CDLL
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pynvml
import pytest

SOURCE = Path(__file__).with_name("libnvidia_ml.c")
SCRIPT = "GPUPERF_NVML_SCRIPT"
GIB = 2**30
Trace = dict[float, float]  # seconds since the machine started -> the value from then on

UNSUPPORTED, NO_PERMISSION, NOT_FOUND, LOST = 3, 4, 6, 15  # NVML's codes


def build(folder: Path, *, old_driver: bool = False) -> Path:
    """The folder with libnvidia-ml.so.1 in it: put it into LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-DOLD_DRIVER"] if old_driver else []
    # No soname: inside this process nobody but the pynvml that is told to may find it (torch looks for it by name).
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", *flags, "-o", library, SOURCE, "-lpthread"], check=True)
    return folder


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU, or a MIG instance of the GPU numbered `parent`. Watts, bytes, MHz, degrees."""

    uuid: str = "GPU-11111111-2222-3333-4444-555555555555"
    pci: str = "00000000:41:00.0"
    name: str = "NVIDIA A100-SXM4-40GB"
    parent: int = -1
    power: Trace = field(default_factory=lambda: {0: 60.0})
    power_repeat: float = 0  # seconds after which the trace of power begins again
    memory_used: Trace = field(default_factory=lambda: {0: 1 * GIB})
    reasons: Trace = field(default_factory=lambda: {0: 0})
    temperature: Trace = field(default_factory=lambda: {0: 45})
    sm_clock: Trace = field(default_factory=lambda: {0: 1410})
    utilization: Trace = field(default_factory=lambda: {0: 0})
    counter_period: float = 0.01
    counter_offset: float = 1000.0
    counter_reset_at: float = 1e300
    power_period: float = 0.01
    memory_total: int = 40 * GIB
    ecc_errors: int = 0
    power_limit: int = 400_000  # milliwatts
    default_limit: int = 400_000
    sm_clock_max: int = 1410
    compute_mode: int = 0
    persistence: int = 1
    ecc: int = 1
    mig: int = 0
    nvlinks: int = 0
    major: int = 8
    minor: int = 0
    pcie_gen: int = 4
    pcie_width: int = 16
    pcie_gen_max: int = 4
    pcie_width_max: int = 16
    violations: tuple[tuple[int, float, float], ...] = ()  # policy, from, to
    processes: tuple[tuple[int, int], ...] = ()  # pid, bytes

    def lines(self) -> Iterator[str]:
        """As the script has it."""
        yield f"device {self.parent}"
        for f in fields(self):
            value: Any = getattr(self, f.name)
            if f.name == "violations":
                yield from (f"violation {policy} {start} {end}" for policy, start, end in value)
            elif f.name == "processes":
                yield from (f"process {pid} {memory}" for pid, memory in value)
            elif isinstance(value, dict):
                yield f"{f.name} " + " ".join(f"{at}:{v}" for at, v in value.items())
            elif f.name != "parent":
                yield f"{f.name} {value}"


MIG_INSTANCE = Gpu(
    uuid="MIG-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    name="NVIDIA A100-SXM4-40GB MIG 3g.20gb",
    parent=0,
    memory_total=20 * GIB,
    counter_period=0,
)


class Machine:
    """The scripted machine: change it while something measures it."""

    def __init__(self, script: Path, *gpus: Gpu, driver: str = "550.54.15", topology: int = 50) -> None:
        self.script = script
        self.gpus = list(gpus) or [Gpu()]
        self.driver = driver
        self.topology = topology
        self.faults: list[str] = []
        self.restart()

    def restart(self, ago: float = 0) -> None:
        """Begin the time of all traces now, or some seconds ago."""
        self.start = time.monotonic() - ago
        self.write()

    @property
    def now(self) -> float:
        """Seconds since it started: the time of traces."""
        return time.monotonic() - self.start

    @property
    def calls(self) -> int:
        """How often this process has called the library since it opened it."""
        library: Any = pynvml.nvmlLib
        return library.standin_calls()

    def change(self, index: int = 0, **values: Any) -> None:
        """Another value from now on. A number for a trace is its value from now on."""
        gpu = self.gpus[index]
        for name, value in values.items():
            trace = getattr(gpu, name)
            values[name] = (
                {**trace, self.now: value} if isinstance(trace, dict) and not isinstance(value, dict) else value
            )
        self.gpus[index] = replace(gpu, **values)
        self.write()

    def fails(self, function: str, code: int, *, call: int | None = None, second: float | None = None) -> None:
        """A function fails from a call or a second on; "*" is every function of a device."""
        when = f"second {self.now if second is None else second}" if call is None else f"call {call}"
        self.faults.append(f"fault {function} {code} {when}")
        self.write()

    def works_again(self) -> None:
        self.faults.clear()
        self.write()

    def write(self) -> None:
        lines = [f"start {self.start!r}", f"driver {self.driver}", f"topology {self.topology}", *self.faults]
        lines += [line for gpu in self.gpus for line in gpu.lines()]
        fresh = self.script.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.replace(self.script)

    def environment(self, library: Path) -> dict[str, str]:
        """What a process needs to find this machine."""
        return {**os.environ, "LD_LIBRARY_PATH": str(library), SCRIPT: str(self.script)}


def load(library: Path | None) -> None:
    """Have this process's pynvml use a library; None: the machine's own."""
    pynvml.nvmlLib = None if library is None else CDLL(str(library / "libnvidia-ml.so.1"))
    pynvml._nvmlGetFunctionPointer_cache.clear()
    pynvml._nvmlLib_refcount = 0


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-in library."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def old_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in library of a driver before 535."""
    return build(tmp_path_factory.mktemp("nvml-old"), old_driver=True)


@pytest.fixture
def machine(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """One idle GPU, seen by this process's pynvml."""
    machine = Machine(tmp_path / "machine")
    monkeypatch.setenv(SCRIPT, str(machine.script))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    load(nvml_library)
    yield machine
    machine.works_again()
    while pynvml._nvmlLib_refcount:
        pynvml.nvmlShutdown()
    load(None)
