"""When tokens came: the figures of one generation, and the clock that reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from examples import a_measurement

from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.text.figures import generation_of, read_off, spans_of
from pytest_gpuperf.text.stream import Stream, StreamClock

ONE = Stream(start=10.0, prefilled=10.5, tokens=(10.75, 11.0, 11.5, 12.0), prompts=(0,))


def test_figures_are_read_off_one_generation_and_never_subtracted_from_two():
    assert (ONE.prefill, ONE.ttft, ONE.decode, ONE.end_to_end) == (0.5, 0.75, 1.25, 2.0)
    assert ONE.tpot == pytest.approx(1.25 / 3)
    assert ONE.gaps == [0.25, 0.5, 0.5]


def test_a_single_token_has_no_time_of_those_after_it():
    single = replace(ONE, tokens=(10.75,))
    assert (single.tpot, single.gaps, single.decode) == (None, [], 0.0)


@dataclass
class Scripted:
    """Generates by a script: each call is given the next stream."""

    script: list[Stream]
    figure: str = "end_to_end"
    timed: dict[float, list[Stream]] = field(default_factory=dict)
    calls: int = 0

    def __call__(self):
        self.last = self.script[self.calls % len(self.script)]
        self.calls += 1


def later(seconds: float) -> Stream:
    """The same, each part of it that much longer."""
    return replace(ONE, prefilled=10.5 + seconds, tokens=tuple(t + (n + 1) * seconds for n, t in enumerate(ONE.tokens)))


@pytest.mark.parametrize(("figure", "seconds"), [("end_to_end", 2.0), ("ttft", 0.75), ("decode", 1.25)])
def test_the_clock_reads_the_figure_that_is_asked_for(figure, seconds):
    call = Scripted([ONE], figure)
    clock = StreamClock(call, HostClock())
    assert clock.block(call, 3, 1).samples == (seconds,) * 3
    assert clock.latencies(call, 2) == (seconds,) * 2
    assert clock.fitted(call) == (clock, None)
    assert clock.name == "host"


def test_what_comes_before_a_span_is_not_in_it_and_comes_once():
    call, before = Scripted([ONE]), []
    StreamClock(call, HostClock()).block(call, 2, 3, lambda: before.append(call.calls))
    assert before == [0, 3]


def test_every_sample_leads_back_to_its_generations():
    call = Scripted([ONE, later(0.25), ONE, later(0.5)])
    block = StreamClock(call, HostClock()).block(call, 4, 1)
    measured = a_measurement(0, blocks=(block.samples,), span_calls=1)
    spans = spans_of(measured, call.timed)
    assert [span[0].ttft for span in spans[0]] == [0.75, 1.0, 0.75, 1.25]
    decode = read_off(measured, spans, "decode", 3)
    assert decode.blocks == ((1.25, 2.0, 1.25, 2.75),)
    assert decode.latencies == decode.samples
    assert decode.items == 3


def test_of_spans_of_several_calls_the_mean_is_read_off():
    call = Scripted([ONE, later(0.5)])
    block = StreamClock(call, HostClock()).block(call, 2, 2)
    measured = a_measurement(0, blocks=(block.samples,), span_calls=2)
    ttft = read_off(measured, spans_of(measured, call.timed), "ttft", 1)
    assert ttft.blocks == ((1.0, 1.0),)
    assert ttft.latencies == ()


def test_what_a_part_rests_on_is_what_the_whole_rests_on():
    evidence = Evidence(verdict="proven")
    measured = a_measurement(0, blocks=((2.0,),), evidence=evidence, sm_clock=1500)
    part = read_off(measured, [[[ONE]]], "ttft", 1)
    assert (part.evidence, part.sm_clock, part.energy, part.peak_memory) == (evidence, 1500, None, None)


def found(*streams: Stream, prompt_tokens=(7, 9)):
    return generation_of(streams, prompt_tokens, model="text:x", backend="eager", precision="fp32", energy=0.5)


def test_prompt_tokens_are_no_generated_tokens():
    both = found(ONE, replace(ONE, prompts=(1,)))
    assert (both.prompt_tokens, both.generated_tokens, both.seconds) == (16, 8, 4.0)
    assert both.tokens_per_second == 2.0
    assert both.total_tokens_per_second == 6.0
    assert both.energy == 0.5


def test_a_batch_generates_a_token_for_each_of_its_prompts_at_a_time():
    pair = found(replace(ONE, prompts=(0, 1)))
    assert (pair.batch, pair.calls, pair.prompt_tokens, pair.generated_tokens) == (2, 1, 16, 8)
    assert [p.prompt_tokens for p in pair.prompts] == [7, 9]


def test_figures_of_each_prompt_are_medians_of_its_own_calls():
    slow = replace(later(0.5), prompts=(1,))
    first, second = found(ONE, slow, ONE, slow).prompts
    assert (first.calls, first.ttft, first.end_to_end, first.tpot) == (2, 0.75, 2.0, pytest.approx(1.25 / 3))
    assert (second.calls, second.ttft, second.end_to_end) == (2, 1.25, 4.0)


def test_of_single_tokens_there_is_nothing_between():
    single = found(replace(ONE, tokens=(10.75,)))
    assert (single.tpot, single.itl, single.prompts[0].tpot) == (None, None, None)
