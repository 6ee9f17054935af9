"""Our own family of processes, and others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from nvml.standin import GIB, NO_PERMISSION, Machine

from pytest_gpuperf.device import nvml, processes
from pytest_gpuperf.device.nvml import NvmlDevice
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.sessions.order import Order

STRANGER = 2**22 + 1  # above the kernel's largest process number


@pytest.fixture
def card(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvmlDevice:
    monkeypatch.setenv(processes.FAMILY, str(tmp_path / "family"))
    (tmp_path / "family").mkdir()
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    return found[0]


def test_a_stranger_is_foreign_and_our_family_is_not(machine: Machine, card: NvmlDevice) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ours = (os.getpid(), child.pid)
        machine.change(processes=((STRANGER, GIB), *((pid, GIB) for pid in ours)))
        assert processes.foreign(card) == (STRANGER,)
        assert processes.own_memory(card) == 2 * GIB
    finally:
        child.communicate(b"\n")


def test_a_sibling_of_our_own_is_not_of_the_family(tmp_path: Path) -> None:
    for pid, parent in ((os.getpid(), 50), (50, 1), (60, os.getpid()), (61, 60), (70, 50), (80, 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (strange) name) S {parent} 0 0")
    (tmp_path / "90").mkdir()  # it has ended meanwhile
    (tmp_path / "self").mkdir()
    assert processes.family(tmp_path) == {os.getpid(), 50, 60, 61}


def test_in_a_container_a_process_learns_its_number_while_it_opens_the_card(machine: Machine, card: NvmlDevice) -> None:
    machine.change(processes=((STRANGER, GIB),))
    with processes.opening(card):
        machine.change(processes=((STRANGER, GIB), (STRANGER + 1, 2 * GIB)))
    assert processes.foreign(card) == (STRANGER,)
    assert processes.own_memory(card) == 2 * GIB


def test_two_that_came_at_once_cannot_be_told_apart(machine: Machine, card: NvmlDevice) -> None:
    with processes.opening(card):
        machine.change(processes=((STRANGER, GIB), (STRANGER + 1, GIB)))
    assert processes.foreign(card) == (STRANGER, STRANGER + 1)


def test_of_a_family_one_opens_the_card_at_a_time(machine: Machine, card: NvmlDevice) -> None:
    opened: list[int] = []

    def opens(pid: int) -> None:
        with processes.opening(card):
            opened.append(pid)
            machine.change(processes=tuple((pid, GIB) for pid in opened))

    other = Thread(target=opens, args=(STRANGER + 1,))
    with processes.opening(card):
        other.start()
        other.join(0.1)
        assert not opened  # it waits
        opened.append(STRANGER)
        machine.change(processes=((STRANGER, GIB),))
    other.join()
    assert opened == [STRANGER, STRANGER + 1]
    assert processes.foreign(card) == ()


SIDE = """
import os
from pytest_gpuperf.device import nvml, processes
(card,) = nvml.gpus()
with processes.opening(card):
    pass
print(os.getpid(), flush=True)
input()
print(*processes.foreign(card), flush=True)
"""


def test_two_that_one_process_starts_do_not_take_each_other_for_strangers(
    machine: Machine, nvml_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes.FAMILY, "")  # so that it is unset again afterwards
    monkeypatch.delenv(processes.FAMILY)
    environments = [{**Order().environment(), **machine.environment(nvml_library)} for _ in range(2)]
    sides = [
        subprocess.Popen([sys.executable, "-c", SIDE], env=e, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for e in environments
    ]
    try:
        pids = [int(side.stdout.readline()) for side in sides if side.stdout is not None]
        machine.change(processes=tuple((pid, GIB) for pid in (*pids, STRANGER)))
        assert [side.communicate("\n")[0].split() for side in sides] == [[str(STRANGER)]] * 2
    finally:
        for side in sides:
            side.kill()


def test_children_find_what_was_written_down(machine: Machine, card: NvmlDevice) -> None:
    processes.register(card, STRANGER)
    machine.change(processes=((STRANGER, GIB),))
    code = (
        "from pathlib import Path; from pytest_gpuperf.device.processes import family_folder;"
        "print(*(f.read_text() for f in Path(family_folder()).iterdir()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(STRANGER)]
    assert processes.foreign(card) == ()


def test_the_first_of_a_family_makes_the_folder_and_removes_it() -> None:
    code = "from pytest_gpuperf.device.processes import family_folder; print(family_folder(), family_folder().is_dir())"
    environment = {k: v for k, v in os.environ.items() if k != processes.FAMILY}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    folder, existed = done.stdout.split()
    assert existed == "True"
    assert not Path(folder).exists()


def test_a_folder_that_is_gone_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.FAMILY, str(tmp_path / "gone"))
    made = processes.family_folder()
    assert made.is_dir()
    assert processes.family_folder() == made


def test_memory_that_nobody_tells_is_no_zero(machine: Machine, card: NvmlDevice) -> None:
    machine.change(processes=((os.getpid(), 2**64 - 1),))
    assert isinstance(processes.own_memory(card), Missing)


def test_a_list_that_may_not_be_read_is_no_empty_list(machine: Machine, card: NvmlDevice) -> None:
    machine.fails("*", NO_PERMISSION)
    assert isinstance(processes.foreign(card), Missing)
    assert isinstance(processes.own_memory(card), Missing)
