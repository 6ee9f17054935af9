"""What to do with a block that ran in a slow-down: measure it again, after ever longer waits, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import sleep


@dataclass
class Patience:
    """The waits of one measurement. When they are used up, the slow-down is the state that it is measured in."""

    waits: tuple[float, ...]  # seconds, one after the other
    sleep: Callable[[float], None] = sleep
    again: int = 0  # blocks that were discarded
    states: set[str] = field(default_factory=set[str])  # of the blocks that were kept
    seen: set[str] = field(default_factory=set[str])

    def discards(self, state: str | None) -> bool:
        """Whether the block is to be measured again; waits before it says so."""
        if state is None:
            return False
        self.seen.add(state)
        if self.again == len(self.waits):
            self.states.add(state)
            return False
        self.sleep(self.waits[self.again])
        self.again += 1
        return True

    @property
    def state(self) -> str | None:
        """The state that persisted."""
        return " and ".join(sorted(self.states)) or None

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the blocks."""
        if not self.again:
            return ()
        what = " and ".join(sorted(self.seen))
        waited = sum(self.waits[: self.again])
        if self.state is None:
            return (f"{self.again} block(s) ran in a {what} and were measured again, after waiting {waited:.2g} s",)
        return (f"the {self.state} persisted after waiting {waited:.2g} s: these are figures of a card in that state",)
