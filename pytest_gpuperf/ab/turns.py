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
        workers: Sequence[WorkerProcess],
        limit: float,
        *,
        flip: bool,
        known: Mapping[Name, Mapping[str, Sequence[str]]],
    ) -> None:
        self.workers = workers
        self.limit = limit
        self.flip = flip  # the second side begins
        self.known = known  # the measurements of each test, in order, where an earlier launch showed them
        self.received = Received()

    def collected(self) -> dict[Name, Collected]:
        """Wait until every side knows its tests.

        On a card that serves one process at a time the second side cannot begin: then only the first one's are given.
        """
        found: dict[Name, Collected] = {}
        losses: list[WorkerLost] = []
        for worker in self.workers:
            try:
                message = worker.receive(self.limit)
            except WorkerLost as lost:
                losses.append(lost)
                continue
            assert isinstance(message, Collected), message
            found[worker.name] = message
            self.received.files[worker.name] = dict(message.files)
        if losses and not any(side.one_process for side in found.values()):
            raise losses[0]
        return found

    def run(self, tests: Sequence[str]) -> Received:
        """Measure these tests, one after the other; a side that is lost ends the launch at that test."""
        test = ""
        try:
            for worker in self.workers:
                worker.send(Tests(run=tuple(tests)))
            for test in tests:
                self._run_test(test)
            for worker in self.workers:
                message = worker.receive(self.limit)
                assert isinstance(message, Finished), message
                self.received.files[worker.name] |= message.files
            for worker in self.workers:  # together: what a process does at its end is its own
                worker.leave()
        except WorkerLost as lost:
            self.received.lost[test] = lost.worker.name, lost.why
        return self.received

    def _run_test(self, test: str) -> None:
        for worker in self.workers:
            self._expect_begin(worker, test)
        for worker in self.workers:
            worker.send(Go())
        running, arrived = list(self.workers), dict[Name, Arrived]()
        while running or arrived:
            if running:
                worker, message = self._next(running)
                running.remove(worker)
                if isinstance(message, Arrived):
                    arrived[worker.name] = message
                    self.received.orders[worker.name].setdefault(test, []).append(message.case)
                elif isinstance(message, Ended):
                    self.received.ended[worker.name][test] = message
                else:
                    raise WorkerLost(worker, f"said {type(message).__name__} out of turn")
                continue
            running = self._together(test, arrived)

    def _together(self, test: str, arrived: dict[Name, Arrived]) -> list[WorkerProcess]:
        """Let those sides measure that can, when all that have not ended wait for it. Gives the sides that go on."""
        workers = [p for p in self.workers if p.name in arrived]
        cases = {a.case for a in arrived.values()}
        if len(workers) == len(self.workers) and len(cases) == 1:
            self._take_turns(workers, max(a.budget for a in arrived.values()))
            for worker in workers:  # nobody went on while the other still had its turn
                worker.send(Go())
            arrived.clear()
            return workers
        alone = [p for p in workers if not self._awaits(p, test, arrived)] or workers[-1:]
        for worker in alone:
            worker.send(Alone())
            del arrived[worker.name]
        return alone

    def _awaits(self, worker: WorkerProcess, test: str, arrived: Mapping[Name, Arrived]) -> bool:
        """Whether the other side is going to come to the measurement that this one waits for."""
        other = OTHER[worker.name]
        order = self.known[other].get(test, ())
        if other not in arrived or arrived[other].case not in order:
            return False
        return arrived[worker.name].case in order[order.index(arrived[other].case) :]

    def _take_turns(self, workers: Sequence[WorkerProcess], budget: float) -> None:
        """Blocks in turns, the order flipped every round; what a side does after its last block is its turn too."""
        started, rounds = time.monotonic(), 0
        measuring = list(workers)
        while measuring:
            long = time.monotonic() - started > budget * len(workers) and rounds >= FEWEST_ROUNDS
            last = rounds == ROUNDS or long or (rounds > 0 and len(measuring) < len(workers))
            flipped = (rounds % 2 == 1) != self.flip
            for worker in measuring[::-1] if flipped else list(measuring):
                worker.send(Enough() if last else Go())
                message = worker.receive(self.limit)
                if isinstance(message, Paused):
                    continue
                if isinstance(message, Measured):
                    self.received.cases[worker.name][message.case.id] = message.case
                elif not isinstance(message, Dropped):
                    raise WorkerLost(worker, f"said {type(message).__name__} out of turn")
                measuring.remove(worker)
            rounds += 1

    def _expect_begin(self, worker: WorkerProcess, test: str) -> None:
        message = worker.receive(self.limit)
        if not isinstance(message, Begins) or message.test != test:
            raise WorkerLost(worker, f"ended before {test}" if isinstance(message, Finished) else f"said {message}")

    def _next(self, running: Sequence[WorkerProcess]) -> tuple[WorkerProcess, FromWorker]:
        """The first message of any of them."""
        for worker in running:
            if worker.channel.ready:
                return worker, worker.receive(self.limit)
        with selectors.DefaultSelector() as selector:
            for worker in running:
                selector.register(worker.channel, selectors.EVENT_READ, worker)
            ready = selector.select(self.limit)
        if not ready:
            raise WorkerLost(running[0], f"said nothing for {self.limit:.0f} s and was stopped")
        worker: WorkerProcess = ready[0][0].data
        return worker, worker.receive(self.limit)
