"""What many clients at once saw of a language model's server: tokens, and when they came."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.answer_stream import AnswerStream
from pytest_gpuperf.records.fields import Count, Record
from pytest_gpuperf.records.latency import Latency
from pytest_gpuperf.records.served_load import AnyLoad, Share
from pytest_gpuperf.records.text_figures import Slo, TextFigures, figures, share_within

Api = Literal["chat", "completions"]
EVENTS_KEPT = 200_000  # of the streams of one load


class Late(Record, frozen=True, kw_only=True):
    """Of a load with a rate, from when each request was due: what a user waits."""

    ttft: Latency
    end_to_end: Latency


class TextLoad(AnyLoad, frozen=True, kw_only=True):
    """One load of one language model's server. A test may assert on any of it."""

    api: Api
    max_new_tokens: Count  # asked for, of each prompt
    prompt_tokens: Count | None = None  # of all answers that count, by the server's count; None: it is not known
    generated_tokens: Count | None = None  # likewise
    cached_tokens: Annotated[int, Meta(ge=0)] | None = None  # of the prompts: they were not computed again
    repeated: Share = 0.0  # share of requests whose prompt had been sent before
    ttft: Latency  # from sending to the first text
    tpot: Latency | None = None  # of each token after the first, an answer's mean
    itl: Latency | None = None  # pauses between events with text, of all answers together
    end_to_end: Latency  # from sending to the last text
    from_schedule: Late | None = None
    texts: Count  # events with text: a chunk is not a token
    bundled: Share = 0.0  # share of them that came in one piece with the one before
    dropped: tuple[str, ...] = ()  # what the server does not understand, a sentence each
    streams: tuple[AnswerStream, ...] = ()
    streams_left_out: Annotated[int, Meta(ge=0)] = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens a second, of all answers together."""
        return None if self.generated_tokens is None else self.generated_tokens / self.seconds

    @property
    def total_tokens_per_second(self) -> float | None:
        """Prompt tokens counted too: what is read in parallel, so no rate of generation."""
        if self.generated_tokens is None or self.prompt_tokens is None:
            return None
        return (self.prompt_tokens + self.generated_tokens) / self.seconds

    @property
    def cached_share(self) -> float | None:
        """How much of the prompts came from the server's cache; None where it does not tell."""
        if self.cached_tokens is None or self.prompt_tokens is None:
            return None
        return self.cached_tokens / self.prompt_tokens

    def goodput(self, *, ttft: float | None = None, tpot: float | None = None, e2e: float | None = None) -> float:
        """Requests a second that met all limits at once: ``goodput(ttft=0.5, tpot=0.03)``, in seconds."""
        given = {"ttft": ttft, "tpot": tpot, "e2e": e2e}
        return self.goodput_by({name: limit for name, limit in given.items() if limit is not None})

    def goodput_by(self, slo: Slo, convention: str = "gpuperf") -> float:
        """The same by another tool's figures."""
        return self.requests_per_second * share_within(self.streams, slo, convention)

    def figures(self, convention: str = "gpuperf") -> TextFigures:
        """The same streams as another tool would report them: gpuperf, vllm, aiperf, guidellm."""
        return figures(self.streams, convention)
