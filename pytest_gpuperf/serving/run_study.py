"""A study of serving back ends in turns: each starts, answers once, then serves single requests, batches and many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from pytest_gpuperf.models import Workload
from pytest_gpuperf.records.fields import now
from pytest_gpuperf.records.model import Environment
from pytest_gpuperf.records.served_load import Protocol
from pytest_gpuperf.records.study import Asked, BackendStudy, Round, Situation, Visit
from pytest_gpuperf.records.units import format_rate, format_seconds
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.serving import starting
from pytest_gpuperf.serving.check_answers import check_of, inputs_of
from pytest_gpuperf.serving.contender import Contender, Notes, Say, in_round, keeping_whole_rounds
from pytest_gpuperf.serving.deployment import Deployment
from pytest_gpuperf.serving.load_server import LoadPlan, load_server
from pytest_gpuperf.serving.server import Kind, Server
from pytest_gpuperf.serving.watched import Watched

FEWEST = 22  # answers of a window of slow, large batches: three of them are enough for a p90


def serving(
    name: str, workload: Workload, deployment: Deployment, url: str | None = None
) -> Callable[[], AbstractContextManager[Server]]:
    """How to have a server of a back end by its name: "torch", "triton-onnx", "triton-torch", or the one that runs."""
    kind: Kind = "torch" if name == "torch" else "triton"

    @contextmanager
    def opened() -> Generator[Server]:
        if url is not None:
            yield starting.remote(kind, url, workload.name)
            return
        with scratch_folder("study") as folder:
            start = starting.start_torch if kind == "torch" else starting.start_triton
            server = start(workload, deployment, folder=folder)
            try:
                yield server
            finally:
                server.stop()

    return opened


def study(
    contenders: Sequence[Contender],
    workload: Workload,
    asked: Asked,
    environment: Environment,
    *,
    plan: LoadPlan | None = None,
    say: Say = print,
) -> list[BackendStudy]:
    """Every contender in every round, in changing order."""
    time = now()
    notes = [Notes[Round](c) for c in contenders]
    with keeping_whole_rounds(notes):
        for number in range(asked.rounds):
            for note in in_round(number, asked.rounds, notes, say):
                with note.contender.open() as server:
                    note.server = server
                    with Watched(server) as watched:
                        note.rounds.append(_round(server, workload, asked, plan or LoadPlan(), say))
                    note.proofs.append(watched.evidence(note.rounds[-1].visits[-1].load.latency.mean))
    return [
        BackendStudy(
            backend=note.contender.name,
            time=time,
            environment=environment,
            configuration=note.configuration,
            asked=asked,
            evidence=note.evidence,
            rounds=tuple(note.rounds),
        )
        for note in notes
    ]


def _round(server: Server, workload: Workload, asked: Asked, plan: LoadPlan, say: Say) -> Round:
    visits: list[Visit] = []
    for situation, protocol, batch, concurrency, requests in _visits(asked):
        inputs = inputs_of(workload, batch)
        items = workload.items(batch)
        wanted = replace(plan, batch=items, concurrency=concurrency, requests=requests, protocol=protocol)
        load = load_server(server, inputs, wanted, check=check_of(server, workload, inputs)).load
        say(
            f"  {situation}, batch {batch}, concurrency {concurrency}, {protocol}: "
            f"{format_rate(load.requests_per_second)}, mean {format_seconds(load.latency.mean)}, {load.verdict}"
        )
        visits.append(Visit(situation=situation, load=load))
    return Round(server_start=server.started, first_answer=visits[0].load.first_answer, visits=tuple(visits))


def _visits(asked: Asked) -> Iterator[tuple[Situation, Protocol, int, int, int]]:
    """Situation, protocol, batch, concurrency, answers of a window."""
    for protocol in asked.protocols:
        yield "single", protocol, 1, 1, asked.requests
        for batch in asked.batches:
            if batch > 1:
                yield "batch", protocol, batch, 1, max(FEWEST, asked.requests // batch)
        for concurrency in asked.concurrency:
            yield "concurrent", protocol, 1, concurrency, asked.requests
