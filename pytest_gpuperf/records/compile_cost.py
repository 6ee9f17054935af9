"""What ``torch.compile`` took before it gave anything back: apart from the figures of its steady state."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Count, Name, Record, Seconds

Number = Annotated[int, Meta(ge=0, le=2**40)]
Cache = Literal["cold", "warm", "partly warm"]


class CompileCost(Record, frozen=True, kw_only=True):
    """What came before the timed calls. A test may assert on any of it."""

    ready_in: Seconds  # of the calls that compiled, by the clock on the wall
    in_compiler: Annotated[float, Meta(ge=0, le=1e6)]  # seconds of that, as the compiler counts them
    graphs: Number
    graph_breaks: dict[Name, Count] = {}  # why the code could not be one graph -> how often
    recompiles: Number = 0  # of code that had been compiled already, for other inputs
    recompiled_for: dict[Name, Count] = {}  # why -> how often; torch tells since 2.6
    gave_up: dict[Name, Count] = {}  # why some code runs eagerly -> how often
    cache_hits: Number = 0  # graphs that inductor found compiled on the disk ...
    cache_misses: Number = 0  # ... and those that it compiled

    @property
    def breaks(self) -> int:
        """How often the code fell into two graphs."""
        return sum(self.graph_breaks.values())

    @property
    def cache(self) -> Cache | None:
        """How inductor's cache on the disk was; None where it was not asked."""
        if not self.cache_hits and not self.cache_misses:
            return None
        return "partly warm" if self.cache_hits and self.cache_misses else "warm" if self.cache_hits else "cold"

    def break_even(self, eager: float, compiled: float) -> float | None:
        """Calls after which compiling has paid, given the seconds a call takes; None: never, since it is not faster."""
        return self.ready_in / (eager - compiled) if compiled < eager else None
