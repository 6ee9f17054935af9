"""What facts about a machine mean for measuring, and the command that mends what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_gpuperf.cli import machine
from pytest_gpuperf.cli.machine import Facts
from pytest_gpuperf.device.contention import THREADS
from pytest_gpuperf.records.certificate import Certificate
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.certificate_report import summary

UNUSED = "not installed, and no Python file in this folder names it"
RESTLESS = 0.05  # pieces of equal work differ by more: one process says little here


@dataclass(frozen=True)
class DoctorLine:
    """One line of the doctor's."""

    what: str
    says: str
    good: bool = True
    mend: str | None = None  # a command


def python() -> Iterator[DoctorLine]:
    """The interpreter, and what runs the tests."""
    yield DoctorLine("python", platform.python_version())
    yield pytest(machine.version("pytest"))
    yield xdist(machine.version("pytest-xdist"))


def pytest(installed: str | None) -> DoctorLine:
    """It may be missing on a machine that only judges."""
    if installed is None:
        return DoctorLine("pytest", "not installed", False, machine.install("pytest"))
    return DoctorLine("pytest", installed)


def xdist(installed: str | None) -> DoctorLine:
    """Its workers would share the device."""
    text = "not installed, and not needed" if installed is None else f"{installed}; performance tests need: pytest -n 0"
    return DoctorLine("xdist", text)


def driver(facts: Facts, cards: int, *, container: bool) -> Iterator[DoctorLine]:
    """NVML, which comes with the driver."""
    if "error" not in facts:
        yield DoctorLine("driver", str(facts["driver"]))
        yield DoctorLine("cards", ", ".join(facts["names"]) or "none", bool(facts["names"]))
    elif cards and container:
        yield DoctorLine(
            "driver", "a card is there, but this container was started without it: docker run --gpus all", False
        )
    elif cards:
        tool = shutil.which("ubuntu-drivers")
        text = f"{many(cards, 'NVIDIA card')}, but NVML says: {facts['error']}. NVIDIA's driver is needed"
        yield DoctorLine("driver", text, False, "sudo ubuntu-drivers install" if tool else None)
    else:
        yield DoctorLine("driver", "no NVIDIA card in this machine; measure on the processor: --gpuperf-device cpu")


def gpus(facts: Facts) -> Iterator[DoctorLine]:
    """What NVML tells of each GPU. Where there is no NVML, the driver's line has said so."""
    if "error" in facts:
        yield DoctorLine("gpu", str(facts["error"]), False)
        return
    for check in facts["checks"]:
        if check["name"] not in {"nvml", "driver"}:
            yield DoctorLine(check["name"], check["found"], check["good"] is not False, check["remedy"])


def cpu_energy(facts: Facts) -> DoctorLine:
    """RAPL, which containers and virtual machines hide, and which root may read."""
    if "joules" in facts:
        return DoctorLine("cpu energy", "readable: the processor's packages, everybody's work on them included")
    reason = str(facts.get("reason", facts.get("error")))
    return DoctorLine("cpu energy", f"not available: {reason}", facts.get("why") != "permission")


def _absent(facts: Facts) -> bool:
    """Whether it is not installed at all; what is installed and broken is reported."""
    return str(facts.get("error", "")).startswith("ModuleNotFoundError")


def torch(facts: Facts, cards: int, *, used: bool = True) -> DoctorLine:
    """PyTorch, and whether it sees the cards."""
    if not used and _absent(facts):
        return DoctorLine("torch", UNUSED)
    if "error" in facts:
        return DoctorLine("torch", str(facts["error"]), False, machine.install("torch"))
    text = f"{facts['version']}, built for {'CUDA ' + facts['cuda'] if facts['cuda'] else 'processors only'}"
    if facts["available"] or not cards:
        return DoctorLine("torch", text)
    if not facts["cuda"]:
        start = machine.installer()
        return DoctorLine("torch", text, False, start and f"{start} install --force-reinstall torch")
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return DoctorLine("torch", f"{text}; CUDA_VISIBLE_DEVICES hides the cards", False, "unset CUDA_VISIBLE_DEVICES")
    why = facts.get("why", "the driver is missing, or older than this CUDA needs")
    return DoctorLine("torch", f"{text}; it can use no card: {why}", False)


def onnxruntime(facts: Facts, cards: int, *, used: bool = True) -> DoctorLine:
    """ONNX Runtime, and whether this build has CUDA."""
    if not used and _absent(facts):
        return DoctorLine("onnxruntime", UNUSED)
    if "error" in facts:
        return DoctorLine("onnxruntime", str(facts["error"]), False, machine.install("onnxruntime-gpu"))
    providers = facts["providers"]
    text = f"{facts['version']}, providers built in: {', '.join(providers)}"
    if not cards or "CUDAExecutionProvider" in providers:
        return DoctorLine("onnxruntime", text)
    return DoctorLine("onnxruntime", text, False, machine.install("onnxruntime-gpu"))


def certificate(found: Certificate | None, software: dict[str, str]) -> DoctorLine:
    """What `gpuperf selftest` found on this device, how long ago, and whether that still stands."""
    if found is None:
        return DoctorLine("certificate", "none of this device yet: gpuperf selftest makes one")
    days = (datetime.now(UTC) - found.created).days
    age = "made today" if days < 1 else f"{many(days, 'day')} old"
    text = f"{age}: {summary(found)}"
    changed = found.changed_since(software)
    if changed:
        return DoctorLine("certificate", f"{text} Since then: {', '.join(changed)}", False, "gpuperf selftest")
    return DoctorLine("certificate", text, found.count("fails") == 0)


def governor(found: set[str]) -> DoctorLine:
    """A clock that rises and falls with the load is noise."""
    if not found:
        return DoctorLine("cpu clock", "the kernel does not say how it is chosen (a virtual machine?)")
    if found == {"performance"}:
        return DoctorLine("cpu clock", "performance")
    command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return DoctorLine("cpu clock", f"{', '.join(sorted(found))}: it follows the load, which is noise", False, command)


def noise(load: tuple[float, int], unrest: float, threads: int = 1) -> DoctorLine:
    """Whether something else runs here; the threads of one workload then wait for each other."""
    running, cores = load
    text = f"load {running:.1f} on {cores} cores; the slow tenth of equal work takes {unrest:.1%} longer"
    if running < cores / 2 and unrest < RESTLESS:
        return DoctorLine("noise", text)
    text += ": stop what else runs, and record more sessions"
    if 1 < threads >= cores:
        fewer = f"{text}. Figures on the CPU suffer most where torch's {threads} threads share {cores} cores with it"
        return DoctorLine("noise", fewer, False, f"export {THREADS}={max(cores - 1, 1)}")
    return DoctorLine("noise", text, False)
