"""Whether this process had a processor when it wanted one: on the CPU, another program's work shows as ours being slow.

Linux counts how long the calling thread stood in a run queue, ready and not running. It is noted beside the figures and
changes no verdict: how much of a loss it explains, nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from pytest_gpuperf.device.health import Health

_SHARE = 0.1  # of the time, from which on it is worth a line


class ProcessorWatch:
    """Watches one measurement on the processor."""

    def __init__(self, process: Path = Path("/proc/self"), now: Callable[[], float] = monotonic) -> None:
        self._file = process / "schedstat"
        self._now = now
        self._began: tuple[float, float] | None = None

    def before_block(self) -> None:
        """Look once, when the first block begins."""
        if self._began is None:
            self._began = self._now(), self._waited()

    def after_block(self) -> None:
        """One block says too little: the scheduler's turns are as long."""

    def health(self, state: str | None) -> Health:
        """How long this process waited since the first block."""
        if self._began is None:
            return Health(state=state)
        start, before = self._began
        share = (self._waited() - before) / max(self._now() - start, 1e-9)
        if share <= _SHARE:
            return Health(state=state)
        tenths = int(share * 10) / 10  # so that cases share a line
        note = (
            f"for more than {tenths:.0%} of the time this process waited for a processor: other work had it. These are "
            f"figures of a shared processor; stop the other work, or measure when it is done"
        )
        return Health(state=state, notes=(note,))

    def _waited(self) -> float:
        """Seconds in a run queue; 0 where the kernel does not tell."""
        try:
            return int(self._file.read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0
