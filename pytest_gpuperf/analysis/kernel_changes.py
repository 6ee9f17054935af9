"""Which kernels appeared, vanished, grew or shrank between two profiles of one case. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pytest_gpuperf.results.records import Kernel, Profile, Record

MOVED = {"kernel": 0.05, "operator": 0.25}  # one call's times: a processor's own wander is far larger than a card's
NOTICED = 0.01  # of the busy time: below it nothing is said of a kernel's time
CERTAIN = 2.0  # times the shortest kernel that was kept: a kernel of that length cannot have hidden below the list

Word = Literal["appeared", "vanished", "grew", "shrank", "same"]
Key = tuple[str, str | None]
NOTHING = Kernel(name="-", count=1, seconds=0.0)


class KernelChange(Record, frozen=True, kw_only=True):
    """One kernel in two profiles: (baseline, current) of each figure."""

    name: str
    within: str | None = None  # the outermost operator it runs for
    word: Word
    count: tuple[int, int]
    seconds: tuple[float, float]
    inputs: tuple[dict[str, int], dict[str, int]] = ({}, {})
    shape: tuple[str | None, str | None] = (None, None)

    @property
    def more(self) -> float:
        """Seconds that it takes more than before."""
        return self.seconds[1] - self.seconds[0]

    @property
    def more_launches(self) -> int:
        """Launches more than before."""
        return self.count[1] - self.count[0]

    @property
    def title(self) -> str:
        """``copy_ (contiguous)``: what it is, and for whom it runs."""
        return f"{self.name} ({self.within})" if self.within else self.name


def kernel_changes(before: Profile, after: Profile) -> tuple[KernelChange, ...]:
    """Every kernel of either, the largest change of time first.

    A profile keeps its longest kernels only. One that is missing from a shortened list may have been just below it: it
    has appeared or vanished only if it is too long for that.
    """
    old, new = _by_key(before.kernels), _by_key(after.kernels)
    least = max(NOTICED * max(before.busy, after.busy), 0.0)
    changes = (
        _change(key, old.get(key), new.get(key), _hidden(before), _hidden(after), MOVED[after.unit], least)
        for key in dict.fromkeys((*new, *old))
    )
    return tuple(sorted((c for c in changes if c), key=lambda c: (-abs(c.more), c.title)))


def _by_key(kernels: Iterable[Kernel]) -> Mapping[Key, Kernel]:
    return {(k.name, k.within): k for k in kernels}


def _hidden(profile: Profile) -> float:
    """The longest time that a kernel may take and yet not be in the list."""
    return profile.kernels[-1].seconds if profile.kernels and profile.unlisted else 0.0


def _change(
    key: Key,
    old: Kernel | None,
    new: Kernel | None,
    below_old: float,
    below_new: float,
    moved: float,
    least: float,
) -> KernelChange | None:
    if old is None or new is None:
        seen, below = (new, below_old) if old is None else (old, below_new)
        if seen is not None and below and seen.seconds <= CERTAIN * below:
            return None
    a, b = old or NOTHING, new or NOTHING
    return KernelChange(
        name=key[0],
        within=key[1],
        word=_word(old, new, moved, least),
        count=(a.count if old else 0, b.count if new else 0),
        seconds=(a.seconds, b.seconds),
        inputs=(a.inputs, b.inputs),
        shape=(a.shape, b.shape),
    )


def _word(old: Kernel | None, new: Kernel | None, moved: float, least: float) -> Word:
    if old is None:
        return "appeared"
    if new is None:
        return "vanished"
    if new.count != old.count:
        return "grew" if new.count > old.count else "shrank"
    more = new.seconds - old.seconds
    if abs(more) < max(least, moved * old.seconds):
        return "same"
    return "grew" if more > 0 else "shrank"
