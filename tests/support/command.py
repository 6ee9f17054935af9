"""The real `gpuperf` command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# A process in which torch, pytest and NVML cannot be imported, as on the machine that only judges; scipy.stats could
# be, but it is slow to load and has no business here.
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Refuses(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "torchvision", "pytest", "_pytest", "pynvml", "scipy.stats"}:
            raise ImportError(f"{name} is refused here")

sys.meta_path.insert(0, Refuses())
from pytest_gpuperf.cli import main
sys.exit(main())
"""


def gpuperf(*arguments: object, cwd: Path, bare: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it, at 100 columns; `bare` without what judging must not need."""
    start = ["-c", WITHOUT] if bare else ["-m", "pytest_gpuperf"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
