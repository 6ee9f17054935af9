"""When the tokens of one generation came, and the clock that reads its figures off that.

    start ---- prefilled - first token -------- second ---- ... ---- last
    |---- prefill ---|
    |------- TTFT -------|--------------- decode ------------------|
    |--------------------------- end to end ------------------------|

Each token has left the device when its time is taken: what generates hands it over on the host. Nothing is found by
subtracting two runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from pytest_gpuperf.device.clocks import Block, Call, Clock

Figure = Literal["end_to_end", "ttft", "decode"]
_TICK = 1e-9  # no call takes no time


@dataclass(frozen=True, slots=True)
class Stream:
    """One generation: a batch of prompts, and a token for each of them at each step. Seconds on the host's clock."""

    start: float
    prefilled: float  # the prompt has been computed, nothing has been chosen yet
    tokens: tuple[float, ...]  # when the first, the second, ... came
    prompts: tuple[int, ...]  # which prompts, by number

    @property
    def prefill(self) -> float:
        """Until the first token could be chosen."""
        return self.prefilled - self.start

    @property
    def ttft(self) -> float:
        """Until the first token came."""
        return self.tokens[0] - self.start

    @property
    def end_to_end(self) -> float:
        """Until the last token came."""
        return self.tokens[-1] - self.start

    @property
    def decode(self) -> float:
        """From the first token to the last."""
        return self.tokens[-1] - self.tokens[0]

    @property
    def tpot(self) -> float | None:
        """Of each token after the first, in the mean; None of a single token."""
        return None if len(self.tokens) == 1 else self.decode / (len(self.tokens) - 1)

    @property
    def gaps(self) -> list[float]:
        """Between tokens."""
        return [after - before for before, after in pairwise(self.tokens)]


class Generating(Protocol):
    """A call that generates, and keeps when its tokens came."""

    @property
    def figure(self) -> Figure:
        """What is timed of it."""
        ...

    @property
    def last(self) -> Stream:
        """What the last call gave."""
        ...

    @property
    def timed(self) -> dict[float, list[Stream]]:
        """What timed calls gave, by the sample that was read off them."""
        ...


@dataclass(frozen=True)
class StreamClock:
    """Reads one figure off each generation, and keeps the generations that its samples came from."""

    generating: Generating
    host: Clock
    name: str = "host"

    def now(self) -> float:
        return self.host.now()

    def synchronize(self) -> None:
        self.host.synchronize()

    def fitted(self, call: Call) -> tuple[Clock, str | None]:  # noqa: ARG002 - each token has left the device
        return self, None

    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        samples: list[float] = []
        for _ in range(spans):
            taken = [self._once(call, before_span if n == 0 else None) for n in range(calls)]
            sample = sum(map(self._figure, taken)) / calls
            self.generating.timed.setdefault(sample, []).extend(taken)
            samples.append(sample)
        return Block(tuple(samples))

    def latencies(self, call: Call, count: int, before_call: Call | None = None) -> tuple[float, ...]:
        return tuple(self._figure(self._once(call, before_call)) for _ in range(count))

    def _figure(self, stream: Stream) -> float:
        return max(_TICK, getattr(stream, self.generating.figure))

    def _once(self, call: Call, before: Call | None) -> Stream:
        gc.collect(1)  # a generation leaves its cache in a cycle; elsewhere a collection frees it within a call or two
        if before is not None:
            before()
        self.host.synchronize()
        call()
        return self.generating.last

    def span(self) -> Callable[[], float]:
        return self.host.span()
