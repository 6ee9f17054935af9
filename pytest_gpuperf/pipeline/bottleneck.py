"""What limits a pipeline, how that is known, and what to do: from its figures alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_gpuperf.records.pipeline import SOURCE, StageFigures
from pytest_gpuperf.records.units import format_seconds, many

_ALL_CORES = 0.9  # share of all cores' time beyond which they are what limits
_BUSY = 0.85  # share of the time in which the workers of what limits are busy
_ONE_CORE = 0.8  # of a core's time: whoever holds the interpreter works
_MOST_OF_IT = 0.5  # of the time between two items: less work than that, and handing on is most of it
_GROWN = 1.25  # times as long beside the others as alone
_WAITING = 0.5  # share of that growth in which the processor did not work for it
_PROCESS = 'Give the stage that runs Python code a process: where="process"'


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a pipeline showed. Times are seconds an item."""

    stages: Sequence[StageFigures]  # the source first
    waited_alone: Sequence[float]  # by each of them, alone, without the processor
    period: float  # between two items that come out
    cpu: float  # of the processor, by this process and its workers
    own: float  # by this process alone
    cores: int
    overlap: bool


def find_bottleneck(shown: Shown) -> tuple[str, str]:
    """What limits it; and how that is known, with a remedy."""
    stages, period, cores = shown.stages, shown.period, shown.cores
    slowest = max(stages, key=lambda stage: stage.bound)
    if not shown.overlap:
        return slowest.name, (
            f"nothing overlaps, and {slowest.name} is {slowest.busy / period:.0%} of the {format_seconds(period)} that "
            f"an item takes. Let the stages overlap: at best an item then takes {format_seconds(slowest.bound)}"
        )
    used = shown.cpu / period / cores
    if used >= _ALL_CORES:
        most = max(stages, key=lambda stage: stage.cpu or 0.0)
        return "cores", (
            f"{many(cores, 'core')} worked {used:.0%} of the time, most of all for {most.name}. More workers do not "
            f"help: give it more cores, or do less on them (smaller images, a faster decoder, the GPU)"
        )
    piled_up = slowest.queue is not None and slowest.queue.full >= _BUSY
    saturated = slowest.bound / period >= _BUSY or piled_up
    if cores > 1 and shown.own / period >= _ONE_CORE:
        held_up = _held_up(shown)
        if held_up is not None:
            return "gil", (
                f"{held_up.name} takes {held_up.growth:.1f} times as long beside the other stages as alone "
                f"({format_seconds(held_up.busy)} instead of {format_seconds(held_up.alone)}), and waits meanwhile: "
                f"for the interpreter, or for a core that another program uses. {_PROCESS}"
            )
        if not saturated and sum(s.busy for s in stages if s.where == "thread") >= _MOST_OF_IT * period:
            return "gil", (
                f"no stage is busy all the time, and this process used {shown.own / period:.0%} of one core and no "
                f"more: its threads take turns with the interpreter. {_PROCESS}"
            )
    if saturated:
        return slowest.name, f"{_how_it_shows(slowest, stages, period)}. {_remedy(slowest, used, cores)}"
    return "queues", _why_nobody_is_busy(slowest, shown)


def _held_up(shown: Shown) -> StageFigures | None:
    """The thread stage that grew most beside the others although the processor did no more for it."""
    found: list[StageFigures] = []
    for stage, alone in zip(shown.stages, shown.waited_alone, strict=True):
        if stage.where != "thread" or stage.name == SOURCE or stage.cpu is None or stage.growth < _GROWN:
            continue
        if stage.busy - stage.cpu - alone >= _WAITING * (stage.busy - stage.alone):
            found.append(stage)
    return max(found, key=lambda stage: stage.busy - stage.alone, default=None)


def _how_it_shows(slowest: StageFigures, stages: Sequence[StageFigures], period: float) -> str:
    text = f"{slowest.name} is busy for {slowest.bound / period:.0%} of the time"
    index = list(stages).index(slowest)
    queues: list[str] = []
    if slowest.queue is not None:
        queues.append(f"the queue before it is full for {slowest.queue.full:.0%}")
    after = stages[index + 1].queue if index + 1 < len(stages) else None
    if after is not None:
        queues.append(f"the one behind it empty for {after.empty:.0%}")
    if slowest.bound / period < _BUSY:
        queues.append("and in between its workers wait for a core, or for the interpreter")
    return ", ".join([text, *queues])


def _why_nobody_is_busy(slowest: StageFigures, shown: Shown) -> str:
    idle = f"no stage is busy for more than {slowest.bound / shown.period:.0%} of the time ({slowest.name})"
    processes = [stage for stage in shown.stages if stage.where == "process"]
    far = max(processes, key=lambda stage: stage.hand_over_share, default=None)
    if far is not None and far.hand_over_share >= _MOST_OF_IT:
        return (
            f"{idle}, and passing items to the processes of {far.name} and back takes {far.hand_over_share:.0%} of "
            f"theirs. Pass less (paths or files in place of pixels), put more into an item, or use threads"
        )
    return (
        f"{idle}: items wait for each other where stages take turns being slow, or handing them on takes as long as "
        f"the work. Deepen the queues (queue=8), or put more into an item"
    )


def _remedy(slowest: StageFigures, used: float, cores: int) -> str:
    if slowest.name == SOURCE:
        return "Nothing behind it can make up for that: let the source give faster (more workers of the DataLoader)"
    if slowest.where == "stream":
        return "The device is what limits: a larger batch, a lower precision, a compiled model; or less work in it"
    if used + 1 / cores > 1:
        return "The cores have little time left: make the stage itself faster, or move it to the GPU"
    if slowest.where == "process":
        return f"Give it more processes: workers={slowest.workers + 1}"
    return f'Give it more threads: workers={slowest.workers + 1}; if its work is Python code, where="process"'
