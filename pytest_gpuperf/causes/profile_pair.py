"""One case on both sides: two profiles, their differences, and the change of the timed figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pytest_gpuperf.causes.kernels import Family, KernelChange, family, kernel_changes
from pytest_gpuperf.records.model import Profile, Record

NAMED = 3  # kernels named in a sentence; the table has them all

Kind = Literal[
    "precision",  # wider or narrower types
    "shape",  # larger or smaller inputs
    "repeated",  # the same work, more often
    "memory format",  # channels_last -> contiguous, or back
    "setting",  # threads, TF32, cudnn.benchmark, ...
    "fusion",  # several kernels in place of one
    "copy",  # copies that were not there
    "kernels",  # others run, in no known pattern
    "one kernel",  # the same kernels, and one takes longer
    "machine",  # the same kernels, each longer by the same factor; or another clock
    "idle",  # longer gaps between kernels
    "software",  # torch, driver, CUDA
    "nothing",  # no difference that could explain the change
]


class Cause(Record, frozen=True, kw_only=True):
    """One thing that differs, and how much of the change it accounts for."""

    kind: Kind
    sentence: str  # plain, with its figures
    seconds: float | None = None  # a call takes so much more because of it; None: nobody knows how much


@dataclass(frozen=True, kw_only=True)
class ProfiledSide:
    """What is known of how a case ran: in the baseline, or now."""

    profile: Profile | None
    seconds: float  # of a timed call, the median
    software: Mapping[str, str] = field(default_factory=dict[str, str])
    sm_clock: float | None = None  # MHz, the median
    canaries: Mapping[str, float] = field(default_factory=dict[str, float])  # fixed work -> median seconds


@dataclass(frozen=True)
class ProfilePair:
    """Both sides of a case, where each side has a profile."""

    before: ProfiledSide
    after: ProfiledSide
    a: Profile
    b: Profile

    @cached_property
    def changes(self) -> tuple[KernelChange, ...]:
        """Every kernel of either, the largest change of time first."""
        return kernel_changes(self.a, self.b)

    @property
    def more(self) -> float:
        """Seconds that a timed call takes more."""
        return self.after.seconds - self.before.seconds

    @property
    def same_kernels(self) -> bool:
        """Whether the very same kernels ran, each as often."""
        return self.a.launches == self.b.launches and not any(c.more_launches for c in self.changes)

    def of(self, *families: Family) -> list[KernelChange]:
        """The kernels that do such work."""
        return [c for c in self.changes if family(c.name) in families]


def longer(changes: Iterable[KernelChange]) -> float:
    """Seconds that these kernels take more."""
    return sum(c.more for c in changes)


def listed(changes: Iterable[KernelChange]) -> str:
    """``copy_ (contiguous) x2, cat``: the few that matter most, and how many more there are."""
    every = sorted(changes, key=lambda c: -max(c.seconds))
    shown = [c.title + (f" x{abs(c.more_launches)}" if abs(c.more_launches) > 1 else "") for c in every[:NAMED]]
    return ", ".join(shown) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")
