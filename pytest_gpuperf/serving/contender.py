"""A server under study: how to have it for a while, and what is known of it after some rounds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pytest_gpuperf.records.model import Evidence, Proof
from pytest_gpuperf.serving.server import Plain, Server

Say = Callable[[str], object]
_DOUBTED: tuple[Proof, ...] = ("contradicted", "unknown", "proven")
R = TypeVar("R")  # what a round brings


@dataclass(frozen=True)
class Contender:
    """One that is compared with others."""

    name: str
    open: Callable[[], AbstractContextManager[Server]]


@dataclass
class Notes(Generic[R]):
    """What is known of one contender so far."""

    contender: Contender
    rounds: list[R] = field(default_factory=list[R])
    server: Server | None = None
    proofs: list[Evidence] = field(default_factory=list[Evidence])

    @property
    def configuration(self) -> dict[str, Plain]:
        """How it serves; nothing where there never was a server."""
        return {} if self.server is None else dict(self.server.configuration)

    @property
    def evidence(self) -> Evidence | None:
        """Of its least certain round, since each had a server of its own; None where none was looked at."""
        return min(self.proofs, key=lambda proof: _DOUBTED.index(proof.verdict), default=None)


def in_round(number: int, rounds: int, notes: Sequence[Notes[R]], say: Say) -> Iterator[Notes[R]]:
    """Each contender of a round, in changing order, so that what the machine does to one it does to the other."""
    for note in notes if number % 2 == 0 else reversed(notes):
        say(f"round {number + 1} of {rounds}: {note.contender.name}")
        yield note


@contextmanager
def keeping_whole_rounds(notes: Sequence[Notes[R]]) -> Generator[None]:
    """Ctrl-C ends a study, and the rounds stay that every contender has been through."""
    try:
        yield
    except KeyboardInterrupt:
        whole = min(len(note.rounds) for note in notes)
        if whole == 0:
            raise KeyboardInterrupt("no round was finished, so there is nothing to keep") from None
        for note in notes:
            del note.rounds[whole:]


def say_if_stopped(finished: int, asked: int) -> None:
    """End a command whose study was stopped, when its files are written."""
    if finished < asked:
        raise KeyboardInterrupt(f"the files hold the {finished} of {asked} rounds that were finished")
