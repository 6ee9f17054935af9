"""Who uses a card: our own family of processes, or somebody else.

NVML counts processes as the host does. Inside a container ours have other numbers there, and no file tells which. So
a process that opens a card looks at the list before and after: what is new is itself. What was learned is written
where the whole family finds it, one file a card in a folder that the environment names. Whoever starts several
processes makes that folder first: two siblings find each other nowhere else.
"""

from __future__ import annotations

import atexit
import fcntl
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.device.readings import Missing, Reading, known
from pytest_gpuperf.scratch import scratch_folder

if TYPE_CHECKING:
    from pytest_gpuperf.device.nvml import NvmlDevice, Process


FAMILY = "GPUPERF_FAMILY"  # names the folder; children inherit it


def family_folder() -> Path:
    """Where this family of processes writes down its numbers; the process that makes it removes it at its end."""
    inherited = os.environ.get(FAMILY)
    if inherited is not None and Path(inherited).is_dir():  # gone, where this process outlived the one that made it
        return Path(inherited)
    stack = ExitStack()
    made = stack.enter_context(scratch_folder("family"))
    atexit.register(stack.close)
    os.environ[FAMILY] = str(made)
    return made


@contextmanager
def opening(*devices: NvmlDevice) -> Generator[None]:
    """Learn which number this process has on the cards, while it opens one of them.

    One of the family at a time: two that came in the same moment could not be told apart.
    """
    with (family_folder() / "opening").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
        before = [_pids(device) for device in devices]
        yield
        for device, known_before in zip(devices, before, strict=True):
            register(device, os.getpid())  # enough where NVML counts as we do
            new = _pids(device) - known_before
            # More than one: a stranger came in the same moment, and which one is ours cannot be told.
            if len(new) == 1:
                register(device, new.pop())


def register(device: NvmlDevice, pid: int) -> None:
    """Remember a number of our own on a card."""
    with (family_folder() / _file_of(device)).open("a") as file:
        file.write(f"{pid}\n")


def foreign(device: NvmlDevice, proc: Path = Path("/proc")) -> Reading[tuple[int, ...]]:
    """The processes on a card that are not of our family."""
    processes = device.processes()
    if isinstance(processes, Missing):
        return processes
    ours = _ours(device, processes, proc)
    return tuple(p.pid for p in processes if p.pid not in ours)


def own_memory(device: NvmlDevice, proc: Path = Path("/proc")) -> Reading[int]:
    """Bytes that our family holds on a card."""
    processes = device.processes()
    if isinstance(processes, Missing):
        return processes
    ours = _ours(device, processes, proc)
    readings = [p.memory for p in processes if p.pid in ours]
    amounts = [memory for memory in readings if memory is not None]
    if not amounts:
        return Missing("unsupported", "NVML does not tell how much memory our processes hold on this GPU")
    return sum(amounts)


def _ours(device: NvmlDevice, processes: Sequence[Process], proc: Path) -> set[int]:
    """Those of ours that are on the card. Looking through all processes of the machine is left for a last resort."""
    known_here = _registered(device) | {os.getpid()}
    if all(p.pid in known_here for p in processes):
        return known_here
    return known_here | family(proc)


def family(proc: Path = Path("/proc")) -> set[int]:
    """This process, those that started it, and those that it started."""
    parents = dict(_parents(proc))
    own = os.getpid()
    found = {own}
    parent = parents.get(own, 0)
    while parent > 1:  # 1 is everybody's ancestor
        found.add(parent)
        parent = parents.get(parent, 0)
    return found | _below(own, parents)


def descendants(proc: Path = Path("/proc")) -> set[int]:
    """The processes that this one started, those that they started, and so on."""
    return _below(os.getpid(), dict(_parents(proc)))


def _below(pid: int, parents: Mapping[int, int]) -> set[int]:
    found: set[int] = set()
    level = {pid}
    while level := {child for child, parent in parents.items() if parent in level} - found:
        found |= level
    return found


def _parents(proc: Path) -> Generator[tuple[int, int]]:
    for entry in proc.iterdir():
        if entry.name.isdigit():
            # A process may end while it is looked at.
            with suppress(OSError, ValueError, IndexError):
                yield int(entry.name), parent_of(int(entry.name), proc)


def stat_of(pid: int, proc: Path = Path("/proc")) -> list[str]:
    """What the system says of a process: its state, its parent, its group, ... OSError where there is none."""
    stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()  # the name, in brackets, may hold spaces and brackets itself


def parent_of(pid: int, proc: Path = Path("/proc")) -> int:
    """The process that started one, or has adopted it."""
    return int(stat_of(pid, proc)[1])


def _pids(device: NvmlDevice) -> set[int]:
    return {p.pid for p in known(device.processes()) or ()}


def _registered(device: NvmlDevice) -> set[int]:
    try:
        return {int(line) for line in (family_folder() / _file_of(device)).read_text().split()}
    except OSError:
        return set()


def _file_of(device: NvmlDevice) -> str:
    return str(known(device.board.uuid) or "card")
