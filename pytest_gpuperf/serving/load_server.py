"""One load of one server: a first answer, its round trip, warm-up, then windows until three in a row agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np

from pytest_gpuperf.device.identity import usable_cores
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Evidence, Measurement
from pytest_gpuperf.records.served_load import Arrivals, Load, Protocol, RoundTrip
from pytest_gpuperf.reports.load_report import remarks
from pytest_gpuperf.serving import windows as w
from pytest_gpuperf.serving.faults import Fault, WrongAnswerError, failure, round_trip
from pytest_gpuperf.serving.pacing import Pace
from pytest_gpuperf.serving.requests import Array, Check, FirstAnswer, ask, build
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.statistics import Counters, breakdown, counters, mean_batch
from pytest_gpuperf.serving.windows import IN_A_ROW, TRIALS, stable
from pytest_gpuperf.serving.worker import FAULTS, LoadOrder
from pytest_gpuperf.serving.workers import Rows, Workers, started

MOST_RATE = 1e6  # requests a second
_MOST_PROCESSES = 8
_WARM_ROUNDS = 4  # answers a connection before anything counts
_LISTEN = 0.1  # seconds
_SILENCE = 1.0  # seconds without one good answer, while others fail, after which the load is over


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """What to ask of a server, and when it is enough."""

    batch: int = 1  # items a request
    concurrency: int = 16  # requests in flight; with a rate: connections, at most
    requests: int = 200  # answers of a window, at least
    rate: float | None = None  # requests a second; None: a closed loop
    arrivals: Arrivals = "poisson"  # of a rate
    protocol: Protocol = "binary"
    processes: int | None = None  # of the generator; None: half the cores
    timeout: float = 60.0  # seconds until an answer is given up
    window_seconds: float = 1.0  # of a window, at least
    budget: float = 60.0  # seconds after which no further window begins, if there are three
    seed: int = 0  # of Poisson arrivals

    def __post_init__(self) -> None:
        for name in ("batch", "concurrency", "requests", "processes"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"{name}={number}: a load has at least 1. Leave it out, or give more.")
        if not self.timeout > 0:
            raise UsageError(f"timeout={self.timeout}: seconds until an answer is given up, above 0.")
        if self.rate is not None and not 0 < self.rate < MOST_RATE:
            raise UsageError(
                f"rate={self.rate:g}: a rate is in requests a second, above 0 and below {MOST_RATE:,.0f}. Leave it out "
                f"for a closed loop."
            )

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


class WorkerFaultError(WrongAnswerError):
    """A fault that a process of the load generator saw."""

    def __init__(self, fault: Fault, message: str) -> None:
        Exception.__init__(self, message)
        self.fault = fault


@dataclass(frozen=True)
class Loaded:
    """A load with what the gate needs of it."""

    load: Load
    blocks: tuple[tuple[float, ...], ...]  # seconds an answer, window by window
    latencies: tuple[float, ...]
    warmup_seconds: float

    def measurement(self, session: str, evidence: Evidence | None = None, notes: tuple[str, ...] = ()) -> Measurement:
        """As a case's measurement: its throughput is what is judged."""
        load = self.load
        return Measurement(
            session=session,
            items=load.batch,
            clock="host",
            blocks=self.blocks,
            span_calls=max(load.requests // sum(map(len, self.blocks)), 1),
            ended="steady" if load.stable else "cap",
            interval=median_half_width([s for block in self.blocks for s in block]),
            latencies=self.latencies,
            first_call=load.first_answer,
            warmup_calls=load.warmup_requests,
            warmup_seconds=self.warmup_seconds,
            evidence=evidence,
            load=load,
            notes=(*remarks(load), *notes),
        )


def load_server(server: Server, inputs: Sequence[Array], plan: LoadPlan, *, check: Check | None = None) -> Loaded:
    """Load a server. Single faults are counted; a server that fails as a whole is a `ServerError`.

    `check` looks at the first answer's arrays, and raises where they are wrong.
    """
    request = build(server, inputs, plan.protocol, plan.timeout)
    first = ask(server, request, plan.timeout)
    if check is not None:
        check(list(first.outputs.values()))
    trip = round_trip(server)
    with started(_orders(server, plan, first), request.http) as workers:
        watch = _Watch(server, workers, plan, begun=workers.go())
        watch.warm_up()
        watch.measure()
        workers.stop(plan.timeout)
        return watch.summarise(first, trip)


def _orders(server: Server, plan: LoadPlan, first: FirstAnswer) -> list[LoadOrder]:
    host, _, port = server.url.rpartition(":")
    shares = plan.shares
    rate = plan.rate or 0.0
    return [
        LoadOrder(
            host=host.strip("[]"),
            port=int(port),
            connections=connections,
            pace=Pace(plan.kind, rate / len(shares), i / rate if rate else 0.0, plan.seed * len(shares) + i),
            expected=first.expected,
            timeout=plan.timeout,
        )
        for i, connections in enumerate(shares)
    ]


class _Watch:
    """Follows the rows as they come in."""

    def __init__(self, server: Server, workers: Workers, plan: LoadPlan, begun: int) -> None:
        self._server, self._workers, self._plan = server, workers, plan
        self._scheduled = plan.rate is not None
        self._begun = begun  # nanoseconds
        self._start = begun  # of what counts
        self._cuts: list[w.Cut] = []
        self._counters: list[Counters | None] = []  # before the first window, and after each
        self._warmup = 0

    def warm_up(self) -> None:
        """Let caches, clocks and batchers get going; nothing of this counts."""
        plan = self._plan
        done = self._next(_WARM_ROUNDS * plan.concurrency, plan.window_seconds)
        self._start, self._warmup = done.end, done.window.requests
        self._counters = [counters(self._server)]

    def measure(self) -> None:
        """Cut windows until three in a row agree, or until the budget or the trials are spent."""
        deadline = monotonic() + self._plan.budget
        while len(self._cuts) < TRIALS:
            start = self._cuts[-1].end if self._cuts else self._start
            self._cuts.append(self._next(self._plan.requests, self._plan.window_seconds, start))
            self._counters.append(counters(self._server))
            if stable([c.window for c in self._cuts]):
                return
            if monotonic() > deadline and len(self._cuts) >= IN_A_ROW:
                return

    def _next(self, requests: int, seconds: float, start: int | None = None) -> w.Cut:
        while True:
            self._workers.listen(_LISTEN)
            rows = self._workers.rows
            self._refuse_silence(rows)
            found = w.cut(
                rows,
                self._begun if start is None else start,
                self._workers.now,
                requests=requests,
                seconds=seconds,
                scheduled=self._scheduled,
            )
            if found is not None:
                return found

    def _refuse_silence(self, rows: Rows) -> None:
        """Where nothing but faults comes any more, there is nothing to measure."""
        messages = self._workers.messages
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

    def summarise(self, first: FirstAnswer, trip: RoundTrip | None) -> Loaded:
        """The record of the whole load, after its last window."""
        plan, rows = self._plan, self._workers.rows
        windows = [c.window for c in self._cuts]
        last_cuts = self._cuts[-IN_A_ROW:]
        start, end = last_cuts[0].start, last_cuts[-1].end
        inside = w.within(rows, start, end)
        good = w.answered(inside)
        from_sending = w.latencies(good, scheduled=False)
        from_schedule = w.latencies(good, scheduled=True) if self._scheduled else None
        whole = w.answered(w.within(rows, self._start, end))
        before, after = self._counters[-len(last_cuts) - 1], self._counters[-1]
        faults = inside[inside[:, w.OUTCOME] > 0][:, w.OUTCOME]
        load = Load(
            server=self._server.name,
            model=self._server.model,
            batch=plan.batch,
            arrivals=plan.kind,
            concurrency=plan.concurrency,
            offered=plan.rate,
            seed=plan.seed if plan.kind == "poisson" else None,
            verdict="stable" if stable(windows) else "inconclusive",
            windows=tuple(windows),
            counted=len(last_cuts),
            latency=latency_of(from_sending.tolist()),
            from_schedule=None if from_schedule is None else latency_of(from_schedule.tolist()),
            growth=w.growth(whole) if self._scheduled else None,
            errors={
                FAULTS[int(kind) - 1]: int(count)
                for kind, count in zip(*np.unique(faults, return_counts=True), strict=True)
            },
            wire=first.wire,
            client=w.client(inside, self._workers.ticks, start, end, scheduled=self._scheduled),
            mean_batch=mean_batch(before, after),
            breakdown=breakdown(before, after, float(from_sending.mean())),
            round_trip=trip,
            server_start=self._server.started,
            first_answer=max(first.seconds, 1e-9),
            warmup_requests=self._warmup,
            notes=tuple(dict.fromkeys(f"{m.fault}: {m.text}" for m in self._workers.messages)),
        )
        return Loaded(
            load=load,
            blocks=tuple(
                w.samples(w.answered(w.within(rows, c.start, c.end)), c.start, plan.concurrency) for c in last_cuts
            ),
            latencies=tuple((from_sending if from_schedule is None else from_schedule).tolist()),
            warmup_seconds=(self._start - self._begun) / 1e9,
        )
