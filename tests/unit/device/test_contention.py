"""Figures taken while other work held the processor say so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_gpuperf.device.contention import ProcessorWatch
from pytest_gpuperf.device.health import Health


class Scripted:
    """A process with the seconds it waited, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0

    def waited(self, seconds: float) -> None:
        (self.folder / "schedstat").write_text(f"1 {int(seconds * 1e9)} 1\n")

    def watch(self) -> ProcessorWatch:
        return ProcessorWatch(self.folder, lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


def test_a_process_that_waited_long_says_so(machine: Scripted) -> None:
    machine.waited(5.0)
    watch = machine.watch()
    watch.before_block()
    machine.now = 1.0
    machine.waited(5.05)
    assert watch.health(None) == Health()
    watch.before_block()  # a later block changes nothing
    machine.waited(5.57)
    health = watch.health(None)
    assert health.notes[0].startswith("for more than 50% of the time this process waited for a processor")


@pytest.mark.parametrize("told", [None, ""])
def test_where_the_kernel_tells_nothing_nothing_is_said(machine: Scripted, told: str | None) -> None:
    if told is not None:
        (machine.folder / "schedstat").write_text(told)
    watch = machine.watch()
    assert watch.health(None) == Health(), "no block began"
    watch.before_block()
    assert watch.after_block() is None
    machine.now = 1.0
    assert watch.health(None) == Health()
    assert watch.health("another") == Health(state="another")


def test_real_neighbours_on_the_same_core_are_seen() -> None:
    core = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, {{{core}}})"
    burners = [subprocess.Popen([sys.executable, "-c", f"{pin}\nwhile True: pass"]) for _ in range(3)]
    script = f"""
{pin}
import time
from pytest_gpuperf.device.contention import ProcessorWatch
watch = ProcessorWatch()
watch.before_block()
end = time.monotonic() + 1.0
while time.monotonic() < end: pass
print(*watch.health(None).notes)
"""
    try:
        time.sleep(0.2)
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert "of the time this process waited for a processor: other work had it" in said.stdout
