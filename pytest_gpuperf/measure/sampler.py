"""One measurement: a first call, warm-up, then blocks of spans until the median is known. PYTEST_DONT_REWRITE."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import sleep
from traceback import clear_frames
from typing import Literal

from pytest_gpuperf.device.clocks import Block, Call, Clock
from pytest_gpuperf.device.health import Health, Watch
from pytest_gpuperf.device.memory import MemoryMeter, is_out_of_memory, lost
from pytest_gpuperf.errors import MeasurementError, OutOfMemoryError, UsageError, WorkloadError
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.measure.cache import PreparedCall
from pytest_gpuperf.measure.plan import Pace, Plan
from pytest_gpuperf.measure.quiet import collector_off
from pytest_gpuperf.measure.warmup import WarmUp, sustain, warm_up
from pytest_gpuperf.records.model import Measurement
from pytest_gpuperf.traces.compiler import compiler_counts, gave_up_notes

_COMPUTE_AGAIN = 1.05  # times as many samples as when their interval was last computed


@dataclass
class Patience:
    """The waits for a slow-down to pass, in one measurement. When they are used up, it is measured in that state."""

    waits: tuple[float, ...]  # seconds of the first wait, of the second, ...
    sleep: Callable[[float], None] = sleep
    again: int = 0  # blocks that were discarded
    states: set[str] = field(default_factory=set[str])  # slow-downs of the blocks that were kept
    all_states: set[str] = field(default_factory=set[str])  # ... and of those that were discarded

    def discards(self, state: str | None) -> bool:
        """Whether to discard the block and measure it again; if so, this waits first."""
        if state is None:
            return False
        self.all_states.add(state)
        if self.again == len(self.waits):
            self.states.add(state)
            return False
        self.sleep(self.waits[self.again])
        self.again += 1
        return True

    @property
    def state(self) -> str | None:
        """The slow-down that persisted; None where none did."""
        return " and ".join(sorted(self.states)) or None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the blocks that were discarded."""
        if not self.again:
            return ()
        what = " and ".join(sorted(self.all_states))
        waited = sum(self.waits[: self.again])
        if self.state is None:
            return (f"{self.again} block(s) ran in a {what} and were measured again, after waiting {waited:.2g} s",)
        return (f"the {self.state} persisted after waiting {waited:.2g} s: these are figures of a card in that state",)


@dataclass(slots=True)
class _Timed:
    """What has been timed so far."""

    calls: int  # in each span
    blocks: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])
    walls: list[float] = field(default_factory=list[float])
    latencies: list[float] = field(default_factory=list[float])
    samples: list[float] = field(default_factory=list[float])
    unproven: int = 0  # blocks that the host's clock timed, because the device's could not be believed
    computed_at: int = 0  # how many samples there were when their interval was last computed

    @property
    def notes(self) -> tuple[str, ...]:
        blocks = f"{self.unproven} of {len(self.blocks)} blocks"
        note = f"{blocks} are timed by the host's clock: the host was too busy to keep the device at work."
        return (note,) if self.unproven else ()

    def add(self, block: Block) -> None:
        self.blocks.append(block.samples)
        self.samples.extend(block.samples)
        self.unproven += not block.proven
        if block.wall is not None:
            self.walls.append(block.wall)


def measure(
    workload: PreparedCall | Call,
    *,
    items: int,
    plan: Plan,
    clock: Clock,
    memory: MemoryMeter,
    session: str,
    pace: Pace | None = None,
    watch: Watch | None = None,
    on_samples: Callable[[Sequence[float]], None] | None = None,
    observe: Callable[[Measurement, Health | None], Measurement] | None = None,
) -> Measurement:
    """Measure one call.

    `pace` is called between blocks: other code may run there, and it may say that there are enough blocks.
    `on_samples` is called between blocks too, with all samples so far: nothing is timed meanwhile.
    `watch` looks at the device around each block; `observe` calls again, untimed, and adds what that shows.
    """
    __tracebackhide__ = True  # of what a workload raises, only its own frames are shown
    if items < 1:
        raise UsageError(
            f"items={items}: a call handles at least one item. Leave it out where there is nothing to count."
        )
    if not isinstance(workload, PreparedCall):
        workload = PreparedCall(workload)
    try:
        with collector_off():
            sampler = Sampler(
                workload=workload,
                plan=plan,
                clock=clock,
                memory=memory,
                watch=watch,
                pace=pace,
                on_samples=on_samples,
                patience=Patience(plan.slowdown_waits),
            )
            measurement = sampler.measure(items, session)
            if observe is None:
                return measurement
            return observe(measurement, watch.health(sampler.patience.state) if watch else None)
    except MeasurementError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            # A report keeps the error, and so it would keep what the workload's frames and cycles hold.
            clear_frames(error.__traceback__)
            gc.collect()
            memory.release()
            raise OutOfMemoryError(
                f"The workload needs more memory than the device has: {error}. Measure a smaller batch, or require "
                f"more: @pytest.mark.gpu(min_memory=BYTES)."
            ) from error
        failed = f"The workload raised {type(error).__name__}: {error}"
        raise (lost(error) or WorkloadError(failed)) from error


@dataclass(kw_only=True)
class Sampler:
    """One measurement while it goes on: the call, what times it, and what watches."""

    workload: PreparedCall
    plan: Plan
    clock: Clock
    memory: MemoryMeter
    watch: Watch | None
    pace: Pace | None
    on_samples: Callable[[Sequence[float]], None] | None
    patience: Patience

    def measure(self, items: int, session: str) -> Measurement:
        __tracebackhide__ = True
        call, before_span = self.workload
        uncompiled = compiler_counts()
        (first_call,) = self.clock.latencies(call, 1)
        warm = warm_up(call, self.plan, self.clock)
        self.clock, note = self.clock.fitted(call)
        self.memory.reset()
        calls = 1 if before_span is not None else calls_per_span(call, self.plan, self.clock, warm.call_seconds)
        sustain_spans, sustain_seconds = self._sustain(calls, warm)
        warmed_up = compiler_counts()
        compiled = warmed_up.since(uncompiled)
        timed = _Timed(calls)
        ended = self.sample(timed)
        more = compiler_counts().since(warmed_up)
        return Measurement(
            session=session,
            items=items,
            clock=self.clock.name,
            blocks=tuple(timed.blocks),
            span_calls=timed.calls,
            ended=ended,
            interval=median_half_width(timed.samples),
            walls=tuple(timed.walls),
            latencies=tuple(timed.latencies),
            first_call=first_call,
            warmup_calls=warm.calls + sustain_spans * calls,
            warmup_seconds=warm.seconds + sustain_seconds,
            peak_memory=self.memory.peak(),
            memory_source=self.memory.source,
            compile_cost=compiled.cost(first_call) if compiled.frames else None,
            notes=(
                *(() if note is None else (note,)),
                *timed.notes,
                *self.patience.notes,
                *gave_up_notes(compiled.gave_up),
                *more.notes,
            ),
        )

    def _sustain(self, calls: int, warm: WarmUp) -> tuple[int, float]:
        """Run spans as they will be timed, until the card's clock stands still. Gives their count and seconds."""
        if self.watch is None:
            return 0, 0.0
        call, before_span = self.workload
        span = calls * warm.call_seconds
        clock = self.clock
        return sustain(
            lambda spans: clock.block(call, spans, calls, before_span), span, self.plan, clock, self.watch.megahertz
        )

    def sample(self, timed: _Timed) -> Literal["steady", "cap"]:
        """Time block after block, until the median is known; says why it ended."""
        __tracebackhide__ = True
        call, before_span = self.workload
        plan, clock, watch = self.plan, self.clock, self.watch
        sampling_began = clock.now()
        spans = 1
        seconds = 0.0  # of all blocks that were kept
        while True:
            if watch is not None:
                watch.before_block()
            calls = timed.calls
            block_began = clock.now()
            block = clock.block(call, spans, calls, before_span)
            # By the host's clock: while a GPU waits for its host, the samples add up to a tenth of this.
            took = clock.now() - block_began
            if watch is not None and self.patience.discards(watch.after_block()):
                continue
            if before_span is None and self._outgrown(timed, block):
                seconds = 0.0
                continue
            timed.add(block)
            seconds += took
            span = seconds / len(timed.samples)
            if calls == 1 and clock.name == "host":  # then each sample is one synchronised call already
                timed.latencies.extend(block.samples)
            else:
                count = plan.latencies_per_block(span * spans, block.wall or span / calls)
                timed.latencies.extend(clock.latencies(call, count, before_span))
            gc.collect(1)  # cycles that the workload left; of young objects only, or it would cost more than a block
            if _enough(timed, seconds, span, plan):
                return "steady"
            if clock.now() - sampling_began + span > plan.budget:
                return "cap"
            spans = plan.spans_per_block(span)
            if self.on_samples is not None:
                self.on_samples(timed.samples)
            if self.pace is not None and self.pace(len(timed.blocks)):
                return "steady"

    def _outgrown(self, timed: _Timed, block: Block) -> bool:
        """Whether calls have become so fast that spans are too short. If so, all samples so far are dropped as warm-up.

        Calls are slow at first where another process holds the core on which a library's second thread was started.
        """
        estimate = median(block.samples)
        if estimate * timed.calls >= self.plan.span_seconds / 2:
            return False
        calls = calls_per_span(self.workload.call, self.plan, self.clock, estimate)
        outgrown = calls > timed.calls
        if outgrown:
            timed.calls, timed.computed_at, timed.unproven = calls, 0, 0
            for dropped in (timed.blocks, timed.walls, timed.latencies, timed.samples):
                dropped.clear()
        return outgrown


def calls_per_span(call: Call, plan: Plan, clock: Clock, estimate: float) -> int:
    """How many calls fill the span that the plan wants, by the clock that will time it. The estimate is of one call."""
    if estimate > plan.span_seconds:
        return 1 if estimate > 10 * plan.span_seconds else _grown(call, plan, clock, 1)
    return _grown(call, plan, clock, max(1, int(0.5 * plan.span_seconds / estimate)))


def _grown(call: Call, plan: Plan, clock: Clock, calls: int) -> int:
    while True:
        span = min(clock.block(call, 3, calls).samples) * calls
        if span >= plan.span_seconds:
            return calls
        # At most tenfold a step: of a coarse clock, a single tick may have been taken for the whole span.
        calls = max(calls + 1, min(10 * calls, int(1.05 * calls * plan.span_seconds / span)))


def _enough(timed: _Timed, seconds: float, span: float, plan: Plan) -> bool:
    count = len(timed.samples)
    # The more samples there are, the more their interval costs: it waits until there are a few percent more.
    if count < max(plan.enough(span), timed.computed_at * _COMPUTE_AGAIN) or seconds < plan.least_timed:
        return False
    timed.computed_at = count
    return median_half_width(timed.samples) <= plan.precision
