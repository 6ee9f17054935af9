"""One load of one language model's server: how it wants to be asked, warm-up, then windows until three agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil
from statistics import mean
from typing import ClassVar

import msgspec
import numpy as np

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.records.answer_stream import TEXT, AnswerStream
from pytest_gpuperf.records.latency import Latency, latency_of
from pytest_gpuperf.records.model import Evidence, Measurement
from pytest_gpuperf.records.text_figures import CONVENTIONS, figures
from pytest_gpuperf.records.text_load import EVENTS_KEPT, Api, Late, TextLoad
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.load_report import text_remarks
from pytest_gpuperf.serving import windows as w
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.watch import Plan, Watch, at_least_one, orders
from pytest_gpuperf.serving.workers import Rows, started
from pytest_gpuperf.text.served.dialect import Asked, Dialect, ask, negotiate
from pytest_gpuperf.text.served.events import Streamed
from pytest_gpuperf.text.served.prompts import drawn, words_for

_OURS = CONVENTIONS["gpuperf"]
PARTS = {"ttft": _OURS.ttft, "decode": _OURS.tpot}  # of an answer, judged as cases of their own
_ASKING = "pytest_gpuperf.text.served.asking"
_FEWEST_PROMPTS, _MOST_PROMPTS = 512, 20_000
_HASTE = 2  # times as fast as the first answers, of a server that was still cold
_AROUND = 2  # windows' worth of prompts more: the warm-up takes as long as one, and some are under way at the end
_streamed = msgspec.msgpack.Decoder(Streamed)


@dataclass(frozen=True, kw_only=True)
class TextPlan(Plan):
    """What to ask of a language model's server, and when it is enough."""

    warm_rounds: ClassVar[int] = 2  # an answer may take seconds

    prompts: tuple[str, ...] | None = None  # None: drawn, no two alike
    prompt_tokens: int = 128  # of drawn ones, about
    max_new_tokens: int = 64
    api: Api = "chat"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("prompt_tokens", "max_new_tokens"):
            at_least_one(name, getattr(self, name))
        if self.prompts is not None and not any(self.prompts):
            raise UsageError("prompts: there is no text to send. Give texts, or leave them out, and they are drawn.")


@dataclass(frozen=True)
class LoadedText:
    """A load with what the gate needs of it."""

    load: TextLoad
    blocks: dict[str, tuple[tuple[float, ...], ...]]  # "": seconds a token; "ttft"; "decode": window by window
    latencies: tuple[float, ...]
    warmup_seconds: float

    def measurement(
        self, session: str, part: str = "", evidence: Evidence | None = None, notes: tuple[str, ...] = ()
    ) -> Measurement:
        """A case's measurement: of all answers together, of their first tokens, or of the tokens after those."""
        load, blocks = self.load, self.blocks[part]
        return Measurement(
            session=session,
            items=1,  # a token
            clock="host",
            blocks=blocks,
            span_calls=max(load.requests // sum(map(len, blocks)), 1),
            ended="steady" if load.stable else "cap",
            interval=median_half_width(list(chain.from_iterable(blocks))),
            latencies=() if part else self.latencies,
            first_call=None if part else load.first_answer,
            warmup_calls=load.warmup_requests,
            warmup_seconds=self.warmup_seconds,
            evidence=evidence,
            text_load=None if part else load,
            notes=(*(() if part else text_remarks(load)), *notes),
        )


def load_text_server(server: Server, plan: TextPlan) -> LoadedText:
    """Load a language model's server. Single faults are counted; one that fails as a whole is a `ServerError`."""
    dialect, first, prompts = _prepared(server, plan)
    each = orders(server, plan)
    requests = [dialect.request(prompt) for prompt in prompts]
    # Each process has prompts of its own; of fewer than there are processes, some share one.
    shares = [requests[i :: len(each)] or requests for i in range(len(each))]
    with started(each, list(map(msgspec.msgpack.encode, shares)), _ASKING) as workers:
        watch = Watch(server, workers, plan, begun=workers.go())
        watch.warm_up()
        watch.measure()
        workers.stop(plan.timeout)
        return _summarise(watch, plan, dialect, first, len(prompts))


def _prepared(server: Server, plan: TextPlan) -> tuple[Dialect, Asked, Sequence[str]]:
    if plan.prompts is not None:
        return *negotiate(server, plan.api, plan.max_new_tokens, plan.prompts[0], plan.timeout), plan.prompts
    dialect, first = negotiate(server, plan.api, plan.max_new_tokens, drawn(1, 1, seed=0)[0], plan.timeout)
    answers = [first]

    def tokens_of(prompt: str) -> int | None:
        answers.append(ask(dialect, prompt, plan.timeout))
        return answers[-1].streamed.prompt_tokens

    words = words_for(plan.prompt_tokens, tokens_of)
    count = enough_prompts(plan, min(answer.seconds for answer in answers))
    return dialect, first, drawn(count, words, seed=plan.seed + 1)


def enough_prompts(plan: TextPlan, seconds: float) -> int:
    """How many prompts the longest load sends, so that none repeats, where a first answer took these seconds."""
    fastest = plan.concurrency / seconds * _HASTE if plan.rate is None else plan.rate
    window = max(plan.requests, plan.window_seconds * fastest)
    expected = ceil(window * (w.TRIALS + _AROUND)) + plan.warm_rounds * plan.concurrency
    return min(max(_FEWEST_PROMPTS, expected), _MOST_PROMPTS)


def _summarise(watch: Watch, plan: TextPlan, dialect: Dialect, first: Asked, prompts: int) -> LoadedText:
    """The record of the whole load, after its last window."""
    rows, details = watch.workers.rows_and_details
    start, end = watch.counted[0].start, watch.counted[-1].end
    good = (rows[:, w.OUTCOME] == 0) & (rows[:, w.DONE] > start) & (rows[:, w.DONE] <= end)
    answered = [_streamed.decode(details[i]) for i in np.flatnonzero(good)]
    inside = rows[good]
    notes: list[str] = []
    tokens = _believable(answered, plan.max_new_tokens, notes)
    streams = list(_streams(inside, answered, tokens, scheduled=watch.scheduled))
    ours = figures(streams)
    assert ours.ttft is not None
    assert ours.e2e is not None
    kept, texts = _kept(streams), sum(stream.texts for stream in streams)
    common = watch.common(rows)
    common["notes"] = (*common["notes"], *notes)
    load = TextLoad(
        **common,
        api=dialect.api,
        max_new_tokens=plan.max_new_tokens,
        prompt_tokens=_total([a.prompt_tokens for a in answered]),
        generated_tokens=_total(tokens),
        cached_tokens=_total([a.cached_tokens for a in answered], least=0),
        repeated=max(0.0, 1 - prompts / len(rows)),
        ttft=ours.ttft,
        tpot=ours.tpot,
        itl=ours.itl,
        end_to_end=ours.e2e,
        from_schedule=_late(streams) if watch.scheduled else None,
        texts=texts,
        bundled=sum(stream.bundled for stream in streams) / texts,
        first_answer=max(first.seconds, 1e-9),
        dropped=dialect.dropped,
        streams=tuple(streams[:kept]),
        streams_left_out=len(streams) - kept,
    )
    return LoadedText(
        load=load,
        blocks=_blocks(watch, inside, streams, plan.concurrency),
        latencies=tuple(stream.end / 1e6 for stream in streams),
        warmup_seconds=watch.warmup_seconds,
    )


def _believable(answered: Sequence[Streamed], asked: int, notes: list[str]) -> list[int | None]:
    """The tokens of each answer by the server's count, where that can be true."""
    found: list[int | None] = []
    wrong: list[str] = []
    for answer in answered:
        texts = sum(kind in TEXT for kind in answer.kinds)
        count = answer.generated_tokens
        if count is not None and not texts <= count <= asked:
            wrong.append(f"{many(count, 'token')} of {asked} asked for, in {many(texts, 'piece')} of text")
            count = None
        found.append(count)
    if wrong:
        notes.append(
            f"tokens unknown: the server's count contradicts its stream in {many(len(wrong), 'answer')} (first: "
            f"{wrong[0]}). A piece of text holds a token or more, so there is no rate of tokens"
        )
    elif None in found:
        notes.append(
            "tokens unknown: the server does not count them, and a piece of text may hold several, so there is no rate "
            "of tokens"
        )
    return found


def _total(counts: Sequence[int | None], least: int = 1) -> int | None:
    known = [count for count in counts if count is not None]
    return max(sum(known), least) if len(known) == len(counts) else None


def _streams(
    rows: Rows, answered: Sequence[Streamed], tokens: Sequence[int | None], *, scheduled: bool
) -> Iterator[AnswerStream]:
    for row, answer, count in zip(rows, answered, tokens, strict=True):
        sent = int(row[w.SENT])
        yield AnswerStream(
            late=max(0, sent - int(row[w.DUE])) // 1000 if scheduled else 0,
            times=tuple(max(0, at - sent) // 1000 for at in answer.times),
            kinds=answer.kinds,
            end=max(0, answer.end - sent) // 1000,
            prompt_tokens=answer.prompt_tokens,
            generated_tokens=count,
            cached_tokens=answer.cached_tokens,
        )


def _late(streams: Sequence[AnswerStream]) -> Late:
    """What a user waits: the figures from when requests were due."""

    def from_due(of: Callable[[AnswerStream], float | None]) -> Latency:
        return latency_of([stream.late / 1e6 + (of(stream) or 0.0) for stream in streams])

    return Late(ttft=from_due(_OURS.ttft), end_to_end=from_due(_OURS.e2e))


def _kept(streams: Sequence[AnswerStream]) -> int:
    """How many streams a run keeps."""
    events = 0
    for number, stream in enumerate(streams):
        events += len(stream.times)
        if events > EVENTS_KEPT:
            return max(number, 1)
    return len(streams)


def _blocks(
    watch: Watch, rows: Rows, streams: Sequence[AnswerStream], connections: int
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """What the gate judges, window by window."""
    whole: list[tuple[float, ...]] = []
    parts: dict[str, list[tuple[float, ...]]] = {part: [] for part in PARTS}
    for cut in watch.counted:
        within: list[int] = np.flatnonzero((rows[:, w.DONE] > cut.start) & (rows[:, w.DONE] <= cut.end)).tolist()
        mine = [streams[i] for i in within]
        tokens = [stream.generated_tokens for stream in mine]
        weights = None if None in tokens else np.array(tokens, np.float64)
        whole.append(w.samples(rows[within], cut.start, connections, weights))
        for part, figure in PARTS.items():
            known = [max(value, 1e-9) for stream in mine if (value := figure(stream)) is not None]
            if known:
                parts[part].append(tuple(_means(known, connections)))
    return {"": tuple(whole), **{part: tuple(blocks) for part, blocks in parts.items() if blocks}}


def _means(values: Sequence[float], connections: int) -> Iterator[float]:
    """Of consecutive stretches of answers."""
    begin = 0
    for end in w.stretches(len(values), connections):
        yield mean(values[begin:end])
        begin = end
