"""What a pipeline is made of, and what is refused before anything of it runs."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.pipeline import RESERVED, Where

_WHERE: tuple[Where, ...] = get_args(Where)
_EXAMPLE = 'PipelineStage("decode", decode)'


@dataclass(frozen=True)
class PipelineStage:
    """One step of a pipeline: `fn` takes what the stage before gave, and gives what the next one takes.

    A thread overlaps with the other stages while its function lets the interpreter go: reading files, torch, numpy. A
    process overlaps whatever it does; its function and its items are pickled. A stream is for a function that launches
    work on a GPU: it gets a CUDA stream of its own, and nobody waits for the work but who needs its result.
    """

    name: str
    fn: Callable[[Any], Any]
    workers: int = 1
    where: Where = "thread"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or not self.name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"The name of a stage is a text that can be shown, not {self.name!r}: {_EXAMPLE}.")
        if self.name in RESERVED:
            raise UsageError(f"A stage cannot be called {self.name!r}: reports use that word. Give it another name.")
        if not callable(self.fn):
            raise UsageError(f"Stage {self.name!r} needs a function of one item, and {self.fn!r} is none: {_EXAMPLE}.")
        if inspect.isgeneratorfunction(self.fn) or inspect.iscoroutinefunction(self.fn):
            raise UsageError(
                f"The function of stage {self.name!r} gives a generator or a coroutine: calling it does none of its "
                f"work. Give a function that returns its result."
            )
        if self.where not in _WHERE:
            raise UsageError(f"Stage {self.name!r}: where={self.where!r} is not one of: {', '.join(_WHERE)}.")
        _at_least_one(f"Stage {self.name!r}: workers", self.workers)


def check(stages: Sequence[PipelineStage], source: object, depth: int, batch: int) -> None:
    """Refuse a pipeline that cannot run."""
    if not stages:
        raise UsageError(f"A pipeline has at least one stage: [{_EXAMPLE}, ...].")
    for stage in stages:
        if not isinstance(stage, PipelineStage):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"{stage!r} is no stage. Write it as {_EXAMPLE}.")
    twice = [name for name, count in Counter(stage.name for stage in stages).items() if count > 1]
    if twice:
        raise UsageError(f"Two stages are called {twice[0]!r}, so their figures cannot be told apart. Rename one.")
    _at_least_one("queue", depth, "the item that is handed from one stage to the next has to be somewhere")
    _at_least_one("batch", batch)
    if not isinstance(source, Iterable):
        call = " Call it." if callable(source) else ""
        raise UsageError(f"source={source!r} cannot be iterated over. Give a list, a DataLoader or a generator.{call}")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def notes_on(stages: Sequence[PipelineStage]) -> Generator[str]:
    """What a reader should know of how the stages are set up."""
    workers = sum(stage.workers for stage in stages if stage.where != "stream")
    available = cores()
    for stage in stages:
        if stage.workers > available and stage.where != "stream":
            yield (
                f"more workers than cores: stage {stage.name!r} has {stage.workers} {_plural(stage.where)}, and this "
                f"process may use {available}. Beyond that they only take turns, unless they wait for something else"
            )
            return
    processes = sum(stage.workers for stage in stages if stage.where == "process")
    if processes > available:
        yield (
            f"more workers than cores: {processes} processes of {workers} workers in all, and this process may use "
            f"{available} cores"
        )


def _plural(where: Where) -> str:
    return {"thread": "threads", "process": "processes", "stream": "streams"}[where]


def _at_least_one(what: str, number: object, why: str = "") -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UsageError(f"{what}={number!r}: it is a whole number, at least 1{f': {why}' if why else ''}.")


class Items:
    """The items of a source. A list, or a DataLoader, begins anew when it ends; an iterator is over then."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._source = source
        self._iterator: Iterator[Any] | None = None
        self._given = 0  # in this pass
        self.passes = 0
        self.first: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = self._begin()
        try:
            item = next(self._iterator)
        except StopIteration:
            if self._iterator is self._source or not self._given:
                raise
            self._iterator = self._begin()
            item = next(self._iterator)
        if not self._given and self.passes == 1:
            self.first = item
        self._given += 1
        return item

    def _begin(self) -> Iterator[Any]:
        self.passes += 1
        self._given = 0
        return iter(self._source)
