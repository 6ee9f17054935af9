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

    def waited(self, seconds: float, thread: int = 1, ran: float = 0.0) -> None:
        file = self.folder / f"task/{thread}/schedstat"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{int(ran * 1e9)} {int(seconds * 1e9)} 1\n")

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


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        (2, "a thread of this workload waited for a processor: its 2 threads have 2 cores, and other work had one of "),
        (3, "this process waited for a processor: other work had it. "),
    ],
)
def test_threads_that_fill_the_cores_say_what_to_set(
    machine: Scripted, monkeypatch: pytest.MonkeyPatch, cores: int, said: str
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    for thread in (1, 2, 3):
        machine.waited(0.0, thread)
    watch = machine.watch()
    watch.before_block()
    machine.now = 1.0
    machine.waited(0.0, 1, ran=1.0)
    machine.waited(0.45, 2, ran=0.55)  # the calling thread spins meanwhile, and has not waited
    (note,) = watch.health(None).notes
    assert note.startswith(f"for more than 40% of the time {said}")
    assert note.endswith("OMP_NUM_THREADS=1") == (cores == 2)


@pytest.mark.parametrize("told", [None, ""])
def test_where_the_kernel_tells_nothing_nothing_is_said(machine: Scripted, told: str | None) -> None:
    if told is not None:
        machine.waited(0.0)
        (machine.folder / "task/1/schedstat").write_text(told)
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
