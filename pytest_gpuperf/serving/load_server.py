"""One load of one server: a first answer, its round trip, warm-up, then windows until three in a row agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Evidence, Measurement
from pytest_gpuperf.records.served_load import Load, Protocol, RoundTrip
from pytest_gpuperf.reports.load_report import remarks
from pytest_gpuperf.serving import windows as w
from pytest_gpuperf.serving.asking import Repeated
from pytest_gpuperf.serving.faults import round_trip
from pytest_gpuperf.serving.requests import Array, Check, FirstAnswer, ask, build
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.statistics import breakdown, mean_batch
from pytest_gpuperf.serving.watch import Plan, Watch, at_least_one, orders
from pytest_gpuperf.serving.workers import started

_ASKING = "pytest_gpuperf.serving.asking"


@dataclass(frozen=True, kw_only=True)
class LoadPlan(Plan):
    """What to ask of a server, and when it is enough."""

    batch: int = 1  # items a request
    protocol: Protocol = "binary"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one("batch", self.batch)


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
    each = orders(server, plan)
    asked = msgspec.msgpack.encode(Repeated(request.http, first.expected))
    with started(each, [asked] * len(each), _ASKING) as workers:
        watch = Watch(server, workers, plan, begun=workers.go())
        watch.warm_up()
        watch.measure()
        workers.stop(plan.timeout)
        return _summarise(watch, plan, first, trip)


def _summarise(watch: Watch, plan: LoadPlan, first: FirstAnswer, trip: RoundTrip | None) -> Loaded:
    """The record of the whole load, after its last window."""
    rows = watch.workers.rows
    inside = watch.inside(rows)
    good = w.answered(inside)
    from_sending = w.latencies(good, scheduled=False)
    from_schedule = w.latencies(good, scheduled=True) if watch.scheduled else None
    before, after = watch.counters[-len(watch.counted) - 1], watch.counters[-1]
    load = Load(
        **watch.common(rows),
        batch=plan.batch,
        latency=latency_of(from_sending.tolist()),
        from_schedule=None if from_schedule is None else latency_of(from_schedule.tolist()),
        wire=first.wire,
        mean_batch=mean_batch(before, after),
        breakdown=breakdown(before, after, float(from_sending.mean())),
        round_trip=trip,
        first_answer=max(first.seconds, 1e-9),
    )
    return Loaded(
        load=load,
        blocks=tuple(
            w.samples(w.answered(w.within(rows, c.start, c.end)), c.start, plan.concurrency) for c in watch.counted
        ),
        latencies=tuple((from_sending if from_schedule is None else from_schedule).tolist()),
        warmup_seconds=watch.warmup_seconds,
    )
