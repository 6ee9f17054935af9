"""A study of language models' servers in turns: each is loaded point by point, in every round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import msgspec

from pytest_gpuperf.errors import GpuPerfError, ServerError
from pytest_gpuperf.records.fields import now
from pytest_gpuperf.records.model import Environment
from pytest_gpuperf.records.text_figures import share_within
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.text_study import TextAsked, TextPoint, TextRound, TextStudy
from pytest_gpuperf.records.units import format_percent, format_rate, format_seconds, significant
from pytest_gpuperf.serving.contender import Contender, Notes, Say, in_round, keeping_whole_rounds
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.watched import Watched
from pytest_gpuperf.text.served.load_text import TextPlan, load_text_server

PLAN = TextPlan(timeout=120.0, budget=30.0)
_IN_FLIGHT = 10.0  # seconds: with arrivals of their own there are connections for answers that take so long each


def study_text(
    contenders: Sequence[Contender],
    asked: TextAsked,
    environment: Environment,
    *,
    plan: TextPlan = PLAN,
    say: Say = print,
) -> list[TextStudy]:
    """Every contender in every round, in changing order. What fails is kept with its reason, and the study goes on."""
    time = now()
    notes = [Notes[TextRound](c) for c in contenders]
    with keeping_whole_rounds(notes):
        for number in range(asked.rounds):
            for note in in_round(number, asked.rounds, notes, say):
                note.rounds.append(_round(note, number, asked, plan, say))
            _refuse_nothing(notes)
    return [
        TextStudy(
            contender=note.contender.name,
            time=time,
            environment=environment,
            configuration=note.configuration,
            asked=asked,
            evidence=note.evidence,
            rounds=tuple(note.rounds),
        )
        for note in notes
    ]


def _refuse_nothing(notes: Sequence[Notes[TextRound]]) -> None:
    rounds = [one for note in notes for one in note.rounds]
    if any(point.load for one in rounds for point in one.points):
        return
    reasons = [reason for one in rounds for reason in (*(point.failed for point in one.points), one.failed) if reason]
    raise ServerError(f"Nothing could be measured: every load failed. The first one: {reasons[0]}")


def _round(note: Notes[TextRound], number: int, asked: TextAsked, plan: TextPlan, say: Say) -> TextRound:
    """One life of a server. What was measured until it failed counts."""
    points: list[TextPoint] = []
    start, failed = None, None
    try:
        with note.contender.open() as server:
            note.server, start = server, server.started
            with Watched(server) as watched:
                points.extend(_points(server, number, asked, plan, say))
            loads = [point.load for point in points if point.load is not None]
            if loads and server.alive():
                note.proofs.append(watched.evidence(loads[-1].end_to_end.mean))
    except GpuPerfError as error:
        say(f"  failed: {error}")
        failed = _reason(error)
    return TextRound(server_start=start, points=tuple(points), failed=failed)


def _points(server: Server, number: int, asked: TextAsked, plan: TextPlan, say: Say) -> Iterator[TextPoint]:
    for index, at in enumerate(asked.points):
        shown = f"  {asked.sweep} {at:g}"
        try:
            load = load_text_server(server, _plan(plan, asked, at, seed=number * len(asked.points) + index)).load
        except GpuPerfError as error:
            say(f"{shown}: failed: {error}")
            yield TextPoint(at=at, failed=_reason(error))
            if not server.alive():
                return
            continue
        point = _point(at, load, asked)
        say(f"{shown}: {_summary(load, point)}")
        yield point


def _plan(plan: TextPlan, asked: TextAsked, at: float, seed: int) -> TextPlan:
    """Each load has a seed of its own: a server that has the prompts of another in its cache has less to do."""
    one = replace(
        plan,
        requests=asked.requests,
        prompt_tokens=asked.prompt_tokens,
        max_new_tokens=asked.max_new_tokens,
        api=asked.api,
        seed=seed,
    )
    if asked.sweep == "rate":
        return replace(one, rate=at, concurrency=max(1, ceil(at * _IN_FLIGHT)))
    return replace(one, concurrency=int(at))


def _point(at: float, load: TextLoad, asked: TextAsked) -> TextPoint:
    kept = len(load.streams)
    bare = msgspec.structs.replace(load, streams=(), streams_left_out=load.requests)
    if not asked.slo:
        return TextPoint(at=at, load=bare)
    return TextPoint(at=at, load=bare, within=share_within(load.streams, asked.slo), looked_at=kept)


def _summary(load: TextLoad, point: TextPoint) -> str:
    tokens = load.tokens_per_second
    parts = [
        format_rate(load.requests_per_second),
        "tokens unknown" if tokens is None else f"{significant(tokens)} tokens/s",
        f"TTFT {format_seconds(load.ttft.mean)}",
        *([] if point.met is None else [f"{format_percent(point.met)} met the limits"]),
        "falls behind" if point.falls_behind else load.verdict,
    ]
    return ", ".join(parts)


def _reason(error: GpuPerfError) -> str:
    """Without the server's last lines, which were shown when it failed."""
    return str(error).partition("\n")[0][:1000]
