"""How one load of one server goes on: warm-up, then windows until three in a row agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, ClassVar, Self

import numpy as np

from pytest_gpuperf.device.identity import usable_cores
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.served_load import Arrivals
from pytest_gpuperf.serving import windows as w
from pytest_gpuperf.serving.faults import Fault, WrongAnswerError, failure
from pytest_gpuperf.serving.pacing import Pace
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.statistics import Counters, counters
from pytest_gpuperf.serving.windows import IN_A_ROW, TRIALS, stable
from pytest_gpuperf.serving.worker import FAULTS, LoadOrder
from pytest_gpuperf.serving.workers import Rows, Workers

MOST_RATE = 1e6  # requests a second
_MOST_PROCESSES = 8
_LISTEN = 0.1  # seconds
_SILENCE = 1.0  # seconds without one good answer, while others fail, after which the load is over


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to ask of a server, and when it is enough."""

    warm_rounds: ClassVar[int] = 4  # answers a connection before anything counts
    concurrency: int = 16  # requests in flight; with a rate: connections, at most
    requests: int = 200  # answers of a window, at least
    rate: float | None = None  # requests a second; None: a closed loop
    arrivals: Arrivals = "poisson"  # of a rate
    processes: int | None = None  # of the generator; None: half the cores
    timeout: float = 60.0  # seconds until an answer is given up
    window_seconds: float = 1.0  # of a window, at least
    budget: float = 60.0  # seconds after which no further window begins, if there are three
    seed: int = 0  # of Poisson arrivals

    def __post_init__(self) -> None:
        for name in ("concurrency", "requests", "processes"):
            at_least_one(name, getattr(self, name))
        if not self.timeout > 0:
            raise UsageError(f"timeout={self.timeout}: seconds until an answer is given up, above 0.")
        if self.rate is not None and not 0 < self.rate < MOST_RATE:
            raise UsageError(
                f"rate={self.rate:g}: a rate is in requests a second, above 0 and below {MOST_RATE:,.0f}. Leave it out "
                f"for a closed loop."
            )

    def once(self) -> Self:
        """No more than it takes to have an answer."""
        return replace(self, concurrency=1, requests=1, window_seconds=0.0, budget=0.0)

    @property
    def kind(self) -> Arrivals:
        """How requests arrive."""
        return "closed" if self.rate is None else self.arrivals

    @property
    def shares(self) -> list[int]:
        """Connections of each process."""
        wanted = self.processes or min(max(usable_cores() // 2, 1), _MOST_PROCESSES)
        count = min(wanted, self.concurrency)
        return [self.concurrency // count + (i < self.concurrency % count) for i in range(count)]


def at_least_one(name: str, number: int | None) -> None:
    """Refuse a load of none."""
    if number is not None and number < 1:
        raise UsageError(f"{name}={number}: a load has at least 1. Leave it out, or give more.")


def orders(server: Server, plan: Plan) -> list[LoadOrder]:
    """What each process of the load generator is to do."""
    host, port = server.host_and_port
    shares = plan.shares
    rate = plan.rate or 0.0
    return [
        LoadOrder(
            host=host,
            port=port,
            connections=connections,
            pace=Pace(plan.kind, rate / len(shares), i / rate if rate else 0.0, plan.seed * len(shares) + i),
            timeout=plan.timeout,
            secure=server.secure,
        )
        for i, connections in enumerate(shares)
    ]


class WorkerFaultError(WrongAnswerError):
    """A fault that a process of the load generator saw."""

    def __init__(self, fault: Fault, message: str) -> None:
        Exception.__init__(self, message)
        self.fault = fault


class Watch:
    """Follows the rows as they come in."""

    def __init__(self, server: Server, workers: Workers, plan: Plan, begun: int) -> None:
        self.workers = workers
        self._server, self._plan = server, plan
        self.scheduled = plan.rate is not None
        self._begun = begun  # nanoseconds
        self._start = begun  # of what counts
        self.cuts: list[w.Cut] = []
        self.counters: list[Counters | None] = []  # before the first window, and after each
        self._warmup = 0

    def warm_up(self) -> None:
        """Let caches, clocks and batchers get going; nothing of this counts."""
        plan = self._plan
        answers = plan.warm_rounds * plan.concurrency
        if self.scheduled:  # its connections are for the worst that may come: all of them need not have been in use
            answers = min(answers, plan.requests)
        done = self._next(answers, plan.window_seconds)
        self._start, self._warmup = done.end, done.window.requests
        self.counters = [counters(self._server)]

    def measure(self) -> None:
        """Cut windows until three in a row agree, or until the budget or the trials are spent."""
        deadline = monotonic() + self._plan.budget
        while len(self.cuts) < TRIALS:
            start = self.cuts[-1].end if self.cuts else self._start
            self.cuts.append(self._next(self._plan.requests, self._plan.window_seconds, start))
            self.counters.append(counters(self._server))
            if stable([c.window for c in self.cuts]):
                return
            if monotonic() > deadline and len(self.cuts) >= IN_A_ROW:
                return

    def _next(self, requests: int, seconds: float, start: int | None = None) -> w.Cut:
        while True:
            self.workers.listen(_LISTEN)
            rows = self.workers.rows
            self._refuse_silence(rows)
            found = w.cut(
                rows,
                self._begun if start is None else start,
                self.workers.now,
                requests=requests,
                seconds=seconds,
                scheduled=self.scheduled,
            )
            if found is not None:
                return found

    def _refuse_silence(self, rows: Rows) -> None:
        """Where nothing but faults comes any more, there is nothing to measure."""
        messages = self.workers.messages
        if not messages:
            return
        good = w.answered(rows)
        last = int(good[-1, w.DONE]) if len(good) else self._begun
        since = rows[rows[:, w.DONE] > last]
        silent = len(since) >= self._plan.concurrency and int(since[-1, w.DONE]) - last > _SILENCE * 1e9
        if silent or not self._server.alive():
            latest = FAULTS[int(since[-1, w.OUTCOME]) - 1] if len(since) else messages[-1].fault
            text = next((m.text for m in messages if m.fault == latest), messages[-1].text)
            raise failure(
                self._server, f"under {self._plan.concurrency} requests at once", WorkerFaultError(latest, text)
            )

    @property
    def counted(self) -> list[w.Cut]:
        """The windows that the figures are of."""
        return self.cuts[-IN_A_ROW:]

    @property
    def warmup_seconds(self) -> float:
        """Until the first window began."""
        return (self._start - self._begun) / 1e9

    def inside(self, rows: Rows) -> Rows:
        """Of all rows those that the figures are of."""
        return w.within(rows, self.counted[0].start, self.counted[-1].end)

    def common(self, rows: Rows) -> dict[str, Any]:
        """What the record of any load has, after its last window."""
        plan, windows, inside = self._plan, [c.window for c in self.cuts], self.inside(rows)
        start, end = self.counted[0].start, self.counted[-1].end
        faults = inside[inside[:, w.OUTCOME] > 0][:, w.OUTCOME]
        kinds = zip(*np.unique(faults, return_counts=True), strict=True)
        return {
            "server": self._server.name,
            "model": self._server.model,
            "arrivals": plan.kind,
            "concurrency": plan.concurrency,
            "offered": plan.rate,
            "seed": plan.seed if plan.kind == "poisson" else None,
            "verdict": "stable" if stable(windows) else "inconclusive",
            "windows": tuple(windows),
            "counted": len(self.counted),
            "growth": w.growth(w.answered(w.within(rows, self._start, end))) if self.scheduled else None,
            "errors": {FAULTS[int(kind) - 1]: int(count) for kind, count in kinds},
            "client": w.client(inside, self.workers.ticks, start, end, scheduled=self.scheduled),
            "server_start": self._server.started,
            "warmup_requests": self._warmup,
            "notes": tuple(dict.fromkeys(f"{m.fault}: {m.text}" for m in self.workers.messages)),
        }
