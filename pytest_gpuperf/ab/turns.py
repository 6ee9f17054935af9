"""Conducting the processes of a launch through their tests: both load, then they take strict turns, block by block."""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_gpuperf.ab.checkout import OTHER, Name
from pytest_gpuperf.ab.protocol import (
    Alone,
    Arrived,
    Begins,
    Collected,
    Dropped,
    Ended,
    Enough,
    Finished,
    FromWorker,
    Go,
    Measured,
    Paused,
    Tests,
)
from pytest_gpuperf.ab.worker_process import WorkerLost, WorkerProcess
from pytest_gpuperf.records.model import Case

ROUNDS = 12
FEWEST_ROUNDS = 3  # what a launch's figure rests on
_WAITING = (Begins, Arrived)


@dataclass
class Received:
    """What one launch brought of its tests; `cases` and `ended` by side."""

    cases: dict[Name, dict[str, Case]] = field(default_factory=lambda: {"base": {}, "head": {}})
    ended: dict[Name, dict[str, Ended]] = field(default_factory=lambda: {"base": {}, "head": {}})
    files: dict[Name, dict[str, str]] = field(default_factory=lambda: {"base": {}, "head": {}})
    orders: dict[Name, dict[str, list[str]]] = field(default_factory=lambda: {"base": {}, "head": {}})
    lost: dict[str, tuple[Name, str]] = field(default_factory=dict[str, tuple[Name, str]])  # test -> side, why


class LaunchInTurns:
    """The processes of one launch: both sides, or one alone where both do not fit into the device's memory."""

    def __init__(
        self,
        parties: Sequence[WorkerProcess],
        limit: float,
        *,
        flip: bool,
        known: Mapping[Name, Mapping[str, Sequence[str]]],
    ) -> None:
        self.parties = parties
        self.limit = limit
        self.flip = flip  # the second side begins
        self.known = known  # the measurements of each test, in order, where an earlier launch told
        self.heard = Received()

    def collected(self) -> dict[Name, Collected]:
        """Wait until every side knows its tests.

        On a card that serves one process at a time the second cannot begin: what the first says is given alone.
        """
        found: dict[Name, Collected] = {}
        losses: list[WorkerLost] = []
        for party in self.parties:
            try:
                message = party.hear(self.limit)
            except WorkerLost as lost:
                losses.append(lost)
                continue
            assert isinstance(message, Collected), message
            found[party.name] = message
            self.heard.files[party.name] = dict(message.files)
        if losses and not any(side.one_process for side in found.values()):
            raise losses[0]
        return found

    def run(self, tests: Sequence[str]) -> Received:
        """Measure these tests, one after the other; a side that is lost ends the launch at that test."""
        test = ""
        try:
            for party in self.parties:
                party.tell(Tests(run=tuple(tests)))
            for test in tests:
                self._run_test(test)
            for party in self.parties:
                message = party.hear(self.limit)
                assert isinstance(message, Finished), message
                self.heard.files[party.name] |= message.files
            for party in self.parties:  # together: what a process does at its end is its own
                party.leave()
        except WorkerLost as lost:
            self.heard.lost[test] = lost.party.name, lost.why
        return self.heard

    def _run_test(self, test: str) -> None:
        for party in self.parties:
            self._expect_begin(party, test)
        for party in self.parties:
            party.tell(Go())
        running, arrived = list(self.parties), dict[Name, Arrived]()
        while running or arrived:
            if running:
                party, message = self._next(running)
                running.remove(party)
                if isinstance(message, Arrived):
                    arrived[party.name] = message
                    self.heard.orders[party.name].setdefault(test, []).append(message.case)
                elif isinstance(message, Ended):
                    self.heard.ended[party.name][test] = message
                else:
                    raise WorkerLost(party, f"said {type(message).__name__} out of turn")
                continue
            running = self._together(test, arrived)

    def _together(self, test: str, arrived: dict[Name, Arrived]) -> list[WorkerProcess]:
        """All that have not ended wait before a measurement: let those measure that can. Gives who goes on."""
        parties = [p for p in self.parties if p.name in arrived]
        cases = {a.case for a in arrived.values()}
        if len(parties) == len(self.parties) and len(cases) == 1:
            self._take_turns(parties, max(a.budget for a in arrived.values()))
            for party in parties:  # nobody went on while the other still had its turn
                party.tell(Go())
            arrived.clear()
            return parties
        alone = [p for p in parties if not self._awaits(p, test, arrived)] or parties[-1:]
        for party in alone:
            party.tell(Alone())
            del arrived[party.name]
        return alone

    def _awaits(self, party: WorkerProcess, test: str, arrived: Mapping[Name, Arrived]) -> bool:
        """Whether the other side is going to come to the measurement that this one waits for."""
        other = OTHER[party.name]
        order = self.known[other].get(test, ())
        if other not in arrived or arrived[other].case not in order:
            return False
        return arrived[party.name].case in order[order.index(arrived[other].case) :]

    def _take_turns(self, parties: Sequence[WorkerProcess], budget: float) -> None:
        """Blocks in turns, the order flipped every round; what a side does after its last block is its turn too."""
        started, rounds = time.monotonic(), 0
        measuring = list(parties)
        while measuring:
            long = time.monotonic() - started > budget * len(parties) and rounds >= FEWEST_ROUNDS
            last = rounds == ROUNDS or long or (rounds > 0 and len(measuring) < len(parties))
            flipped = (rounds % 2 == 1) != self.flip
            for party in measuring[::-1] if flipped else list(measuring):
                party.tell(Enough() if last else Go())
                message = party.hear(self.limit)
                if isinstance(message, Paused):
                    continue
                if isinstance(message, Measured):
                    self.heard.cases[party.name][message.case.id] = message.case
                elif not isinstance(message, Dropped):
                    raise WorkerLost(party, f"said {type(message).__name__} out of turn")
                measuring.remove(party)
            rounds += 1

    def _expect_begin(self, party: WorkerProcess, test: str) -> None:
        message = party.hear(self.limit)
        if not isinstance(message, Begins) or message.test != test:
            raise WorkerLost(party, f"ended before {test}" if isinstance(message, Finished) else f"said {message}")

    def _next(self, running: Sequence[WorkerProcess]) -> tuple[WorkerProcess, FromWorker]:
        """The first message of any of them."""
        for party in running:
            if party.channel.ready:
                return party, party.hear(self.limit)
        with selectors.DefaultSelector() as selector:
            for party in running:
                selector.register(party.channel, selectors.EVENT_READ, party)
            ready = selector.select(self.limit)
        if not ready:
            raise WorkerLost(running[0], f"said nothing for {self.limit:.0f} s and was stopped")
        party: WorkerProcess = ready[0][0].data
        return party, party.hear(self.limit)
