"""Facts about this machine, each from a process of its own, so that a broken library ends only that process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path
from statistics import median
from typing import Any

_NOT_OURS = frozenset({"venv", "env", "node_modules", "site-packages", "build", "dist", "__pycache__"})
_MOST_FILES = 2000
Facts = Mapping[str, Any]  # of one library; the key "error" says why there are none

TORCH = """
import torch
facts = {"version": torch.__version__, "cuda": torch.version.cuda, "available": torch.cuda.is_available()}
facts["threads"] = torch.get_num_threads()
if facts["cuda"] and not facts["available"]:
    try:
        torch.cuda.init()
    except Exception as error:
        facts["why"] = str(error).partition("\\n")[0]
"""
NVML = """
import pynvml
pynvml.nvmlInit()
count = pynvml.nvmlDeviceGetCount()
names = [pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(count)]
facts = {"driver": pynvml.nvmlSystemGetDriverVersion(), "names": names}
"""
ONNXRUNTIME = """
import onnxruntime
facts = {"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}
"""
GPUS = """
from dataclasses import asdict
from pytest_gpuperf.device.preflight import preflight
facts = {"checks": [asdict(check) for check in preflight()]}
"""
POWER = """
from pytest_gpuperf.device.counter import CpuMeter
from pytest_gpuperf.device.readings import Missing
joules = CpuMeter().energy()
facts = {"reason": joules.reason, "why": joules.why} if isinstance(joules, Missing) else {"joules": joules}
"""
DEVICE = """
from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.errors import GpuPerfError
try:
    chosen = choose_device({request!r})
    facts = {{"kind": chosen.device.kind, "name": chosen.device.name, "clock": chosen.clock.name}}
    facts |= {{"card": chosen.card, "software": chosen.software}}
except GpuPerfError as error:
    facts = {{"error": str(error)}}
"""


def ask(code: str, seconds: float = 120) -> Facts:
    """The `facts` that some code finds, in a fresh interpreter; its last line where it fails."""
    whole = f"{code}\nimport json\nprint(json.dumps(facts))"
    try:
        result = subprocess.run(  # noqa: S603 - this interpreter, and the code above
            [sys.executable, "-P", "-W", "ignore", "-c", whole],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    lines = result.stderr.strip().splitlines()
    return {"error": lines[-1] if lines else f"the interpreter ended with code {result.returncode}"}


def version(distribution: str) -> str | None:
    """The installed version, without importing anything."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def names(folder: Path, word: str) -> bool:
    """Whether a Python file of the project says a word: what none names, it hardly needs."""
    looked = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _NOT_OURS)
        for file in sorted(f for f in files if f.endswith(".py")):
            looked += 1
            if looked > _MOST_FILES:  # of a folder as large as that little can be said
                return True
            with suppress(OSError):
                if word in (Path(place) / file).read_text(errors="replace"):
                    return True
    return False


def install(distribution: str) -> str | None:
    """The command that installs a package of our extras as our own metadata asks for it."""
    start = installer()
    if start is None:
        return None
    wanted = next(
        (
            text.split(";")[0].strip()
            for text in metadata.requires("pytest-gpuperf") or ()
            if text.startswith(distribution) and not text[len(distribution) :][:1].isalnum()
        ),
        distribution,
    )
    return f"{start} install {shlex.quote(wanted)}"


def installer() -> str | None:
    """How packages get into this very environment."""
    python = shlex.quote(sys.executable)
    if util.find_spec("pip"):
        return f"{python} -m pip"
    return f"UV_PYTHON={python} uv pip" if shutil.which("uv") else None


def in_container(root: Path = Path("/")) -> bool:
    """Whether a container hides the machine."""
    return any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv"))


def governors(root: Path = Path("/")) -> set[str]:
    """How the kernel chooses the processor's clock; empty where it does not say (virtual machines)."""
    return {p.read_text().strip() for p in root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")} - {""}


def load() -> tuple[float, int]:
    """Running processes, the last minute's mean, and the cores they share."""
    return os.getloadavg()[0], len(os.sched_getaffinity(0))


def unrest(rounds: int = 60) -> float:
    """How much slower the slow ones of many equal pieces of work are than the middle one, as a fraction."""
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        sum(range(20_000))
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[rounds * 9 // 10] / median(seconds) - 1
