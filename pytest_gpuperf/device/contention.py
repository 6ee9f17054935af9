"""Whether this process had a processor when it wanted one: on the CPU, another program's work shows as ours being slow.

Linux counts how long each thread stood in a run queue, ready and not running. It is noted beside the figures and
changes no verdict: how much of a loss it explains, nobody knows. Where several threads share the work, one that waits
holds up all: with as many threads as cores, any other work on the machine does that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pytest_gpuperf.device.health import Health

THREADS = "OMP_NUM_THREADS"
_WAITED = 0.1  # of the time: who waits longer is worth a note
_WORKED = 0.1  # of the time: a thread that works longer shares the work


@dataclass(frozen=True)
class _Thread:
    """What the scheduler counts of one thread, in seconds."""

    ran: float = 0.0
    waited: float = 0.0


class ProcessorWatch:
    """Watches one measurement on the processor."""

    def __init__(self, process: Path = Path("/proc/self"), now: Callable[[], float] = monotonic) -> None:
        self._threads = process / "task"
        self._now = now
        self._began: tuple[float, Mapping[str, _Thread]] | None = None

    def megahertz(self) -> float | None:
        """A processor's clock is its own business: cores differ, and virtual machines do not tell."""
        return None

    def before_block(self) -> None:
        """Look once, when the first block begins."""
        if self._began is None:
            self._began = self._now(), self._look()

    def after_block(self) -> None:
        """One block says too little: the scheduler's turns are as long."""

    def health(self, state: str | None) -> Health:
        """How long its threads waited since the first block."""
        if self._began is None:
            return Health(state=state)
        start, before = self._began
        seconds, new = max(self._now() - start, 1e-9), _Thread()
        now = {name: (t, before.get(name, new)) for name, t in self._look().items()}
        waited = max(((t.waited - b.waited) / seconds for t, b in now.values()), default=0.0)
        working = sum(t.ran - b.ran > _WORKED * seconds for t, b in now.values())
        if waited <= _WAITED:
            return Health(state=state)
        return Health(state=state, notes=(_note(int(waited * 10) / 10, working),))  # tenths: so that cases share a line

    def _look(self) -> Mapping[str, _Thread]:
        """Of every thread; nothing where the kernel does not tell."""
        found: dict[str, _Thread] = {}
        for thread in self._threads.glob("*/schedstat"):
            try:
                ran, waited, *_ = thread.read_text().split()
            except (OSError, ValueError):  # it has just ended
                continue
            found[thread.parent.name] = _Thread(int(ran) / 1e9, int(waited) / 1e9)
        return found


def _note(share: float, working: int) -> str:
    cores = len(os.sched_getaffinity(0))
    if 1 < working >= cores:
        return (
            f"for more than {share:.0%} of the time a thread of this workload waited for a processor: its {working} "
            f"threads have {cores} cores, and other work had one of them. Stop the other work, or leave it a core: "
            f"{THREADS}={max(cores - 1, 1)}"
        )
    return (
        f"for more than {share:.0%} of the time this process waited for a processor: other work had it. These are "
        f"figures of a shared processor; stop the other work, or measure when it is done"
    )
