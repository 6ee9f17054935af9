"""From the streams of timed calls to figures: of all of them, of each prompt, and as measurements that are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import mean, median

from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.records.generation import PROMPTS_KEPT, Generation, PromptFigures
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Measurement
from pytest_gpuperf.text.stream import Figure, Stream


def spans_of(measurement: Measurement, timed: dict[float, list[Stream]]) -> list[list[list[Stream]]]:
    """Block by block, span by span, the generations that the samples of a measurement were read off."""
    left = {sample: iter(streams) for sample, streams in timed.items()}
    calls = measurement.span_calls
    return [[[next(left[sample]) for _ in range(calls)] for sample in block] for block in measurement.blocks]


def read_off(
    measurement: Measurement, spans: Sequence[Sequence[Sequence[Stream]]], figure: Figure, items: int
) -> Measurement:
    """Another figure of the same generations, as a measurement of its own."""
    blocks = tuple(tuple(mean(getattr(stream, figure) for stream in span) for span in block) for block in spans)
    samples = tuple(chain.from_iterable(blocks))
    return Measurement(
        session=measurement.session,
        items=items,
        clock=measurement.clock,
        blocks=blocks,
        span_calls=measurement.span_calls,
        ended=measurement.ended,
        interval=median_half_width(samples),
        latencies=samples if measurement.span_calls == 1 else (),
        warmup_calls=measurement.warmup_calls,
        warmup_seconds=measurement.warmup_seconds,
        state=measurement.state,
        temperature=measurement.temperature,
        sm_clock=measurement.sm_clock,
        evidence=measurement.evidence,
    )


def generation_of(
    streams: Sequence[Stream],
    prompt_tokens: Sequence[int],
    *,
    model: str,
    backend: str,
    precision: str,
    energy: float | None = None,
) -> Generation:
    """All figures of some generations. `prompt_tokens` says how many each prompt has."""
    tpot = [stream.tpot for stream in streams if stream.tpot is not None]
    gaps = [gap for stream in streams for gap in stream.gaps]
    return Generation(
        model=model,
        backend=backend,
        precision=precision,
        batch=len(streams[0].prompts),
        calls=len(streams),
        prompt_tokens=sum(prompt_tokens[number] for stream in streams for number in stream.prompts),
        generated_tokens=sum(len(stream.tokens) * len(stream.prompts) for stream in streams),
        seconds=sum(stream.end_to_end for stream in streams),
        prefill=latency_of([stream.prefill for stream in streams]),
        ttft=latency_of([stream.ttft for stream in streams]),
        tpot=latency_of(tpot) if tpot else None,
        itl=latency_of(gaps) if gaps else None,
        end_to_end=latency_of([stream.end_to_end for stream in streams]),
        energy=energy,
        prompts=tuple(_by_prompt(prompt_tokens, streams)),
    )


def _by_prompt(prompt_tokens: Sequence[int], streams: Iterable[Stream]) -> Iterator[PromptFigures]:
    answers: defaultdict[int, list[Stream]] = defaultdict(list)
    for stream in streams:
        for number in stream.prompts:
            answers[number].append(stream)
    for number in sorted(answers)[:PROMPTS_KEPT]:
        given = answers[number]
        tpot = [stream.tpot for stream in given if stream.tpot is not None]
        yield PromptFigures(
            prompt_tokens=prompt_tokens[number],
            generated_tokens=len(given[0].tokens),
            calls=len(given),
            end_to_end=median(stream.end_to_end for stream in given),
            ttft=median(stream.ttft for stream in given),
            tpot=median(tpot) if tpot else None,
        )
