"""What torch's compiler does in this process: graphs, breaks, recompiles, and how long they took.

    before = compiler_counts()
    ...                                             # calls of something compiled
    done = compiler_counts().since(before)          # Compiled: graphs, breaks with their reasons, recompiles, seconds

Read off dynamo's own counters, which we neither load nor reset: where it is not loaded, nothing was compiled.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_gpuperf.records.compile_cost import CompileCost

_LONGEST = 300  # characters of a reason


@dataclass(frozen=True)
class Compiled:
    """What was compiled in a stretch of time."""

    frames: int  # pieces of Python code that the compiler looked at
    graphs: int
    graph_breaks: Mapping[str, int]  # why -> how often
    recompiles: int
    recompiled_for: Mapping[str, int]
    gave_up: Mapping[str, int]
    cache_hits: int
    cache_misses: int
    seconds: float

    def cost(self, ready_in: float) -> CompileCost:
        """The record of it, given the seconds of the calls that compiled."""
        return CompileCost(
            ready_in=max(ready_in, self.seconds, 1e-9),
            in_compiler=self.seconds,
            graphs=self.graphs,
            graph_breaks=dict(self.graph_breaks),
            recompiles=self.recompiles,
            recompiled_for=dict(self.recompiled_for),
            gave_up=dict(self.gave_up),
            cache_hits=self.cache_hits,
            cache_misses=self.cache_misses,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know if it happened while calls were timed."""
        found: list[str] = []
        if self.frames:
            reasons = [*self.recompiled_for, *self.graph_breaks]
            why = f" Why: {reasons[0]}." if reasons else ""
            times = "once" if self.frames == 1 else f"{self.frames} times"
            found.append(
                f"torch.compile compiled {times} more while this was timed, {self.seconds:.2g} s of it, so these are "
                f"no figures of a steady state.{why} Call every shape before it is measured, or use dynamic=True"
            )
        return (*found, *gave_up_notes(self.gave_up))


def gave_up_notes(reasons: Mapping[str, int]) -> tuple[str, ...]:
    """Code that is called compiled and is not."""
    return tuple(f"torch.compile gave up on a part of this, which runs eagerly: {reason}" for reason in reasons)


@dataclass(frozen=True)
class CompilerCounts:
    """Everything that dynamo has counted so far."""

    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    compilations: tuple[Any, ...] = ()  # dynamo's record of each; it keeps the last 64

    def since(self, before: CompilerCounts) -> Compiled:
        """What was compiled since an earlier reading."""
        known = {id(one) for one in before.compilations}
        new = [one for one in self.compilations if id(one) not in known]
        again = [one for one in new if getattr(one, "accumulated_cache_size", 0)]
        return Compiled(
            frames=self._more(before, "frames")["total"],
            graphs=self._more(before, "stats")["unique_graphs"],
            graph_breaks=_briefly(self._more(before, "graph_break")),
            recompiles=len(again),
            recompiled_for=_briefly(Counter(filter(None, (getattr(one, "recompile_reason", None) for one in again)))),
            gave_up=_briefly(self._more(before, "unimplemented")),
            cache_hits=self._more(before, "inductor")["fxgraph_cache_hit"],
            cache_misses=self._more(before, "inductor")["fxgraph_cache_miss"],
            seconds=sum(getattr(one, "entire_frame_compile_time_s", None) or 0.0 for one in new),
        )

    def _more(self, before: CompilerCounts, name: str) -> Counter[str]:
        return Counter(self.counters.get(name, {})) - Counter(before.counters.get(name, {}))


def compiler_counts() -> CompilerCounts:
    """What dynamo has counted so far in this process."""
    dynamo: Any = sys.modules.get("torch._dynamo.utils")
    if dynamo is None:
        return CompilerCounts()
    counters: Mapping[str, Mapping[str, int]] = getattr(dynamo, "counters", {})
    compilations: Any = getattr(dynamo, "get_compilation_metrics", tuple)()
    kept = ("frames", "stats", "graph_break", "unimplemented", "inductor")
    return CompilerCounts({name: dict(counters[name]) for name in kept if name in counters}, tuple(compilations))


def _briefly(reasons: Mapping[str, int]) -> dict[str, int]:
    """Each reason's first line and its explanation: the rest is advice for whoever reads torch's own message."""
    found: Counter[str] = Counter()
    for reason, count in reasons.items():
        first, _, rest = reason.strip().partition("\n")
        explanation = rest.strip().partition("\n")[0].removeprefix("Explanation: ")
        text = f"{first}: {explanation}" if explanation else first
        found[text[:_LONGEST].rstrip(" .") or "no reason given"] += count
    return dict(found)
