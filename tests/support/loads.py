"""Loads and studies made by hand: what their reports and decisions are tried on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from examples import ENVIRONMENT

from pytest_gpuperf.records.answer_stream import AnswerStream
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.records.served_load import Breakdown, Client, Load, RoundTrip, Window, Wire
from pytest_gpuperf.records.study import Asked, BackendStudy, Round, Visit
from pytest_gpuperf.records.text_figures import figures
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.text_study import TextAsked, TextPoint, TextRound, TextStudy

ASKED = Asked(
    workload="resnet50",
    scale="smoke",
    batches=(1, 8),
    concurrency=(16,),
    requests=200,
    protocols=("binary", "json"),
    rounds=3,
)
PARTS = Breakdown(queue=0.001, compute_input=0.0, compute_infer=0.004, compute_output=0.0, remainder=0.0, source="/x")


def a_load(
    mean: float = 0.005, *, batch: int = 1, concurrency: int = 16, requests: int = 700, **changes: object
) -> Load:
    """Stable, with percentiles: every answer took `mean` seconds."""
    protocol = changes.pop("protocol", "binary")
    times = 5 if protocol == "json" else 1
    seconds = requests / 3 * mean / concurrency
    load = Load(
        server="here",
        model="resnet50",
        batch=batch,
        arrivals="closed",
        concurrency=concurrency,
        verdict="stable",
        windows=(Window(requests=requests // 3, seconds=seconds, latency=mean),) * 3,
        counted=3,
        latency=latency_of([mean] * requests),
        wire=Wire(
            protocol=protocol,
            request_bytes=1000 * batch * times,
            response_bytes=100 * times,
            serialise=1e-5 * times,
            parse=1e-5,
        ),
        client=Client(processes=1, busy=0.01, seconds=5e-5),
        mean_batch=4.0 * batch,
        breakdown=PARTS,
        round_trip=RoundTrip(median=1e-4, low=9e-5, count=31, asked="gpuperf_null"),
        first_answer=0.1,
    )
    return msgspec.structs.replace(load, **changes)


def a_text_load(**changes: object) -> TextLoad:
    """100 answers in two seconds: the role after 5 ms, five tokens from 20 ms on, one every 10 ms, the end at 66 ms."""
    at = (5, 20, 30, 40, 50, 60, 65)
    stream = AnswerStream(
        times=tuple(1000 * ms for ms in at), kinds="rtttttf", end=66_000, prompt_tokens=20, generated_tokens=5
    )
    streams = (stream,) * 100
    ours = figures(streams)
    load = TextLoad(
        server="llama.cpp",
        model="tiny",
        arrivals="closed",
        concurrency=4,
        verdict="stable",
        windows=tuple(Window(requests=n, seconds=n / 50, latency=0.066) for n in (30, 30, 40)),
        counted=3,
        client=Client(processes=1, busy=0.01, seconds=5e-5),
        first_answer=0.1,
        api="chat",
        max_new_tokens=5,
        prompt_tokens=2000,
        generated_tokens=500,
        ttft=ours.ttft,
        tpot=ours.tpot,
        itl=ours.itl,
        end_to_end=ours.e2e,
        texts=500,
        streams=streams,
    )
    return msgspec.structs.replace(load, **changes)


def a_study(
    backend: str = "torch",
    means: tuple[float, ...] = (0.005, 0.0051, 0.0049),
    *,
    proven: bool = True,
    **changes: object,
) -> BackendStudy:
    """A round for each mean, in which everything takes so long."""
    rounds = tuple(
        Round(
            server_start=10 * mean,
            first_answer=2 * mean,
            visits=tuple(
                Visit(
                    situation=situation, load=a_load(mean * batch, batch=batch, concurrency=at_once, protocol=protocol)
                )
                for protocol in ("binary", "json")
                for situation, batch, at_once in (("single", 1, 1), ("batch", 8, 1), ("concurrent", 1, 16))
            ),
        )
        for mean in means
    )
    study = BackendStudy(
        backend=backend,
        time="2026-01-01T00:00:00Z",
        environment=ENVIRONMENT,
        configuration={"instances": 1, "runtime": "onnx"},
        asked=ASKED,
        evidence=Evidence(verdict="proven") if proven else None,
        rounds=rounds,
    )
    return msgspec.structs.replace(study, **changes)


def a_text_point(at: float, rate: float = 50.0, ttft: float = 0.02, **changes: object) -> TextPoint:
    """300 answers at so many a second: the first text after `ttft`, five tokens in all, one every 10 ms."""
    of_load = {name: value for name, value in changes.items() if name in TextLoad.__struct_fields__}
    windows = (Window(requests=100, seconds=100 / rate, latency=ttft + 0.04),) * 3
    load = a_text_load(
        windows=windows,
        concurrency=int(max(at, 1)),
        generated_tokens=1500,
        prompt_tokens=6000,
        ttft=latency_of([ttft] * 300),
        end_to_end=latency_of([ttft + 0.04] * 300),
        streams=(),
        streams_left_out=300,
        first_answer=0.1,
    )
    others = {name: value for name, value in changes.items() if name not in of_load}
    return TextPoint(at=at, load=msgspec.structs.replace(load, **of_load), **others)


def a_text_study(
    name: str = "llama.cpp",
    rounds: Sequence[Sequence[TextPoint]] | None = None,
    *,
    proven: bool = True,
    **asked: object,
) -> TextStudy:
    """Of these points, round by round; else of four concurrencies in three rounds, scaling as the law has it."""
    if rounds is None:
        rounds = [[a_text_point(n, f * 10 * n / (1 + 0.1 * (n - 1))) for n in (1, 2, 4, 8)] for f in (1.0, 1.01, 0.99)]
    whole = {
        "sweep": "concurrency",
        "points": tuple(sorted({point.at for points in rounds for point in points})),
        "prompt_tokens": 128,
        "max_new_tokens": 5,
        "requests": 100,
        "rounds": len(rounds),
        "api": "chat",
    }
    return TextStudy(
        contender=name,
        time="2026-01-01T00:00:00Z",
        environment=ENVIRONMENT,
        configuration={"server": "llama.cpp", "parallel": 8},
        asked=TextAsked(**(whole | asked)),
        evidence=Evidence(verdict="proven") if proven else None,
        rounds=tuple(TextRound(server_start=0.5, points=tuple(points)) for points in rounds),
    )
