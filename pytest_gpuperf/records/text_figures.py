"""The same streams by the conventions of several tools: a comparison with another tool's figures is one word away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.answer_stream import CHOICES, TEXT, AnswerStream
from pytest_gpuperf.records.fields import Record
from pytest_gpuperf.records.latency import Latency, latency_of
from pytest_gpuperf.records.slo import LIMITED

Seconds = float | None  # None: this stream does not show it
Slo = Mapping[str, float]  # figure -> seconds that it may take


@dataclass(frozen=True)
class Convention:
    """How a tool reads its figures off a stream."""

    name: str
    ttft: Callable[[AnswerStream], Seconds]
    tpot: Callable[[AnswerStream], Seconds]
    itl: Callable[[AnswerStream], list[float]]  # what a request adds to the distribution
    e2e: Callable[[AnswerStream], Seconds]
    definitions: tuple[str, ...]  # as a reader needs them


def _per_token(span: Seconds, tokens: int | None, but: int = 0) -> Seconds:
    return None if span is None or tokens is None or tokens <= but else span / (tokens - but)


def _difference(end: Seconds, start: Seconds) -> Seconds:
    return None if end is None or start is None else end - start


def _first_text(stream: AnswerStream) -> Seconds:
    return stream.first(TEXT)


def _last_text(stream: AnswerStream) -> Seconds:
    return stream.last(TEXT)


def _decode(stream: AnswerStream) -> Seconds:
    return _difference(stream.last(TEXT), stream.first(TEXT))


def _tpot(stream: AnswerStream) -> Seconds:
    return _per_token(_decode(stream), stream.generated_tokens, 1)


def _vllm_tpot(stream: AnswerStream) -> Seconds:
    return _per_token(_difference(stream.last(CHOICES), stream.first(CHOICES)), stream.generated_tokens, 1)


def _guidellm_tokens(stream: AnswerStream) -> int:
    return stream.texts if stream.generated_tokens is None else stream.generated_tokens


def _each(figure: Callable[[AnswerStream], Seconds]) -> Callable[[AnswerStream], list[float]]:
    return lambda stream: [] if (value := figure(stream)) is None else [value]


CONVENTIONS = {
    c.name: c
    for c in (
        Convention(
            "gpuperf",
            _first_text,
            _tpot,
            lambda s: s.gaps(TEXT),
            _last_text,
            (
                "TTFT: from sending to the first event with text",
                "TPOT: (last text - first text) / (tokens - 1), tokens by the server's count alone",
                "ITL: pauses between events with text, of all answers together; an event may hold several tokens",
                "E2E: from sending to the last event with text",
            ),
        ),
        Convention(
            "vllm",
            lambda s: s.first(CHOICES),
            _vllm_tpot,
            lambda s: s.gaps(CHOICES),
            lambda s: s.last(CHOICES),
            (
                "TTFT: from sending to the first event with a choice, even if it only names the role",
                "TPOT: (E2E - TTFT) / (tokens - 1)",
                "ITL: pauses between events with a choice, of all answers together",
                "E2E: from sending to the last event with a choice",
            ),
        ),
        Convention(
            "aiperf",
            _first_text,
            _tpot,
            _each(_tpot),
            _last_text,
            (
                "TTFT: from sending to the first event with text",
                "TPOT = ITL: (E2E - TTFT) / (tokens - 1), one figure an answer",
                "tokens: the server's count here; aiperf has a tokeniser of its own, unless it is told otherwise",
                "E2E: from sending to the last event with text",
            ),
        ),
        Convention(
            "guidellm",
            _first_text,
            lambda s: _per_token(_last_text(s), _guidellm_tokens(s)),
            _each(lambda s: _per_token(_decode(s), _guidellm_tokens(s), 1)),
            lambda s: s.end / 1e6,
            (
                "TTFT: from sending to the first event with text",
                "TPOT: (last text - sending) / tokens: the first token is in it",
                "ITL: (last text - first text) / (tokens - 1), one figure an answer",
                "E2E: from sending to the end of the stream",
                "tokens: the server's count, else the number of events with text",
            ),
        ),
    )
}


class TextFigures(Record, frozen=True, kw_only=True):
    """What a tool would say of these answers."""

    convention: str
    answers: int
    ttft: Latency | None = None
    tpot: Latency | None = None
    itl: Latency | None = None
    e2e: Latency | None = None
    generated_tokens: int | None = None  # of all answers; None: of some it is not known


def figures(streams: Sequence[AnswerStream], convention: str = "gpuperf") -> TextFigures:
    """The figures of some streams by a tool's convention."""
    chosen = convention_of(convention)
    tokens = [_guidellm_tokens(stream) if convention == "guidellm" else stream.generated_tokens for stream in streams]
    known = [n for n in tokens if n is not None]

    def latency(of: Callable[[AnswerStream], Seconds]) -> Latency | None:
        values = [value for stream in streams if (value := of(stream)) is not None]
        return latency_of(values) if values else None

    gaps = [gap for stream in streams for gap in chosen.itl(stream)]
    return TextFigures(
        convention=convention,
        answers=len(streams),
        ttft=latency(chosen.ttft),
        tpot=latency(chosen.tpot),
        itl=latency_of(gaps) if gaps else None,
        e2e=latency(chosen.e2e),
        generated_tokens=sum(known) if streams and len(known) == len(streams) else None,
    )


def convention_of(name: str) -> Convention:
    """By its name."""
    if name not in CONVENTIONS:
        raise UsageError(f"There is no convention {name!r}. Choose one of: {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]


def share_within(streams: Sequence[AnswerStream], slo: Slo, convention: str = "gpuperf") -> float:
    """The share of answers that met all limits at once. A figure that is not known misses its limit.

    A request that was due at a time and waited to be sent has somebody who waits, so its limits run from that time.
    """
    chosen = convention_of(convention)
    read = dict(zip(LIMITED, (chosen.ttft, chosen.tpot, chosen.e2e), strict=True))
    unknown = [name for name in slo if name not in read]
    if unknown:
        raise UsageError(f"There is no limit on {unknown[0]!r}. Set limits on: {', '.join(LIMITED)}.")

    def met(stream: AnswerStream) -> bool:
        waited = {"ttft": stream.late / 1e6, "tpot": 0.0, "e2e": stream.late / 1e6}
        values = [(read[name](stream), limit - waited[name]) for name, limit in slo.items()]
        return all(value is not None and value <= limit for value, limit in values)

    return sum(map(met, streams)) / len(streams) if streams else 0.0
