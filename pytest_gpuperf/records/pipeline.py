"""What a pipeline showed: how fast it was, where its stages spent their time, and which of them limits it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Count, Name, Rate, Record, Seconds
from pytest_gpuperf.records.latency import Latency
from pytest_gpuperf.records.served_load import Elapsed, Share

Where = Literal["thread", "process", "stream"]
SOURCE = "source"  # the name of what gives the items, beside the stages' own
RESERVED = (SOURCE, "cores", "gil", "queues")  # what else a bottleneck may be called


class QueueFigures(Record, frozen=True, kw_only=True):
    """How many items waited before a stage, by time."""

    capacity: Count
    mean: Elapsed
    full: Share  # of the time
    empty: Share  # of the time in which the next item was not there yet


class StageFigures(Record, frozen=True, kw_only=True):
    """One stage while all of them ran. Times are seconds an item, of all its workers together."""

    name: Name
    where: Where
    workers: Count
    busy: Elapsed  # in its function; on a stream, between the events around what it launched
    alone: Seconds  # the same with no other stage beside it, measured before
    cpu: Elapsed | None  # processor time of its threads or processes; None: it works on a stream
    busy_share: Share  # of its workers' time
    input_share: Share  # waiting for an item
    room_share: Share  # waiting for room in the next queue
    queue: QueueFigures | None = None  # before it; None: it is the source, or nothing overlaps

    @property
    def bound(self) -> float:
        """Seconds an item that the pipeline cannot beat, however well the rest overlaps."""
        return self.busy / self.workers

    @property
    def hand_over_share(self) -> float:
        """What remains of its workers' time: passing items on, to another process and back as well."""
        return max(0.0, 1 - self.busy_share - self.input_share - self.room_share)

    @property
    def growth(self) -> float:
        """How many times as long an item takes beside the other stages as alone."""
        return self.busy / self.alone


class PipelineFigures(Record, frozen=True, kw_only=True):
    """One pipeline. A test may assert on any of it."""

    overlap: bool  # False: its stages ran one after the other, in one thread
    depth: Annotated[int, Meta(ge=0)]  # of the queues between the stages; 0: there were none
    batch: Count  # what throughput counts, in each item
    source: StageFigures
    stages: Annotated[tuple[StageFigures, ...], Meta(min_length=1)]
    items: Count  # that came out while it was measured
    seconds: Seconds  # how long that took
    excluded: Share  # of all items: what came out before, while it filled, and after, while it drained
    passes: Count  # times that the source began anew, the first included
    latency: Latency  # of an item, from when the source gave it until it left the last stage
    cores: Count  # that this process may use
    cpu: Elapsed  # processor seconds an item, of this process and its workers
    ended: Literal["steady", "cap", "source ended"]
    bottleneck: Name  # a stage, or: source, cores, gil, queues
    reason: Name  # how that is known, and what to do
    notes: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[StageFigures, ...]:
        """The source and the stages, in order."""
        return self.source, *self.stages

    @property
    def seconds_per_item(self) -> float:
        """The time between two items that come out."""
        return self.seconds / self.items

    @property
    def throughput(self) -> Rate:
        """What the items hold, a second: images, say."""
        return self.batch / self.seconds_per_item

    @property
    def slowest(self) -> StageFigures:
        """The stage, or the source, that sets the bound."""
        return max(self.every, key=lambda stage: stage.bound)

    @property
    def efficiency(self) -> float:
        """The slowest stage's bound over the time that an item took: 1 where everything else is hidden behind it."""
        return self.slowest.bound / self.seconds_per_item

    @property
    def core_bound(self) -> float:
        """Seconds an item that the cores need, even if each of them works all the time."""
        return self.cpu / self.cores

    @property
    def one_after_the_other(self) -> float:
        """Seconds an item with no overlap at all: every stage alone, added up."""
        return sum(stage.alone for stage in self.every)

    @property
    def speedup(self) -> float:
        """How many times as fast as one stage after the other."""
        return self.one_after_the_other / self.seconds_per_item

    def stage(self, name: str) -> StageFigures:
        """A stage by its name; "source" is what gives the items."""
        by_name = {stage.name: stage for stage in self.every}
        if name not in by_name:
            raise KeyError(f"no stage {name!r}; there are: {', '.join(by_name)}")
        return by_name[name]
