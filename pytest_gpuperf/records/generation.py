"""What was seen of a language model that generates: tokens, and when they came."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytest_gpuperf.records.fields import Count, Joules, Name, Record, Seconds
from pytest_gpuperf.records.latency import Latency

PROMPTS_KEPT = 256


class PromptFigures(Record, frozen=True, kw_only=True):
    """One prompt: medians of the calls that answered it."""

    prompt_tokens: Count
    generated_tokens: Count  # a call
    calls: Count
    end_to_end: Seconds
    ttft: Seconds
    tpot: Seconds | None = None  # of each token after the first; None of a single one


class Generation(Record, frozen=True, kw_only=True):
    """What a language model generated in a measurement. A test may assert on any of it."""

    model: Name
    backend: Name
    precision: Name
    batch: Count  # prompts that are answered together
    calls: Count  # timed
    prompt_tokens: Count  # of all these calls
    generated_tokens: Count  # likewise
    seconds: Seconds  # that they took, end to end
    prefill: Latency  # until the prompt was computed
    ttft: Latency  # until the first token came
    tpot: Latency | None = None  # of each token after the first, a call's mean; None of single tokens
    itl: Latency | None = None  # between tokens, of all calls
    end_to_end: Latency  # until the last token came
    energy: Joules | None = None  # joules per generated token
    prompts: Annotated[tuple[PromptFigures, ...], Meta(max_length=PROMPTS_KEPT)] = ()  # the first of them

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens a second."""
        return self.generated_tokens / self.seconds

    @property
    def total_tokens_per_second(self) -> float:
        """Prompt tokens counted too: what is read in parallel, so no rate of generation."""
        return (self.prompt_tokens + self.generated_tokens) / self.seconds
