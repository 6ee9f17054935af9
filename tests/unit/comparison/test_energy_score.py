"""From a journal to a score: sums, parts, means, and a reason in place of every figure that is not there."""

from __future__ import annotations

import pytest
from msgspec import structs
from scores import (
    LAPTOP,
    NO_GPU,
    NO_RAPL,
    PREFILL,
    a_head,
    a_journal,
    a_query,
    a_score,
    a_session,
    a_stretch,
    on_laptop,
)

from pytest_gpuperf.comparison.energy_score import Amount, score_of
from pytest_gpuperf.records.energy_score import PartEnergy


def test_a_run_is_the_sum_of_its_queries():
    score = a_score()
    assert [run.number for run in score.runs] == [1, 2]
    run = score.runs[0]
    assert (run.prompt_tokens, run.generated_tokens, run.seconds) == (384, 30, 6.0)
    assert run.gpu.value == 3 * 720
    assert run.cpu.value == 300
    assert run.ram.value == 36 * 6
    assert run.total.value == 2160 + 300 + 216
    assert run.above_idle.value == 2160 - 60 * 6
    assert run.mean_watts.value == 360
    assert run.peak_watts.value == 400
    assert run.tokens_per_second == 5
    assert run.total_tokens_per_second == 69
    assert run.joules_per_token.value == 72
    assert run.per_thousand(run.gpu).value == pytest.approx(720 * 1000 / 3600)
    assert run.decode.value == 450 / 9
    assert run.disagreement == 0
    assert run.stretches == 1
    assert run.doubts == []
    assert [(session, stage.name) for session, stage in score.stages] == [(1, "idle"), (1, "inference")]
    assert score.prefill == PREFILL
    assert score.cards == 1


def test_the_mean_over_runs_has_an_interval():
    lines = a_journal(a_head(runs=3, queries=1))
    joules = iter((710.0, 720.0, 730.0))
    lines = [
        structs.replace(line, gpu=PartEnergy(joules=next(joules))) if isinstance(line, type(a_query(1, 1))) else line
        for line in lines
    ]
    found = score_of(lines).mean(lambda run: run.gpu)
    assert found.value == 720
    assert found.half == pytest.approx(4.303 * 10 / 3**0.5, rel=1e-3)  # Student's t of 2 degrees of freedom


def test_one_run_has_no_interval():
    found = a_score(a_head(runs=1)).mean(lambda run: run.gpu)
    assert (found.value, found.half, found.reason) == (2160, None, "one run has no interval")


def test_on_a_processor_every_part_says_why_it_is_not_there():
    score = a_score(a_head(device=LAPTOP), on_laptop(), gpu=None, cpu=None)
    run = score.runs[0]
    for amount in (run.gpu, run.above_idle, run.sampled, run.mean_watts, run.peak_watts, run.joules_per_token):
        assert amount == Amount(None, NO_GPU)
    assert run.cpu == Amount(None, NO_RAPL)
    assert run.ram.value == 216
    assert run.total == Amount(None, f"CPU: {NO_RAPL}")  # no GPU works here: none is missing
    assert score.mean(lambda run: run.gpu).reason == NO_GPU
    assert score.cards == 0


def test_the_total_lacks_what_one_part_lacks():
    session = a_session(cpu=None, ram_watts=None, missing={"cpu": NO_RAPL, "ram": "no meminfo"})
    run = a_score(session=session, cpu=None).runs[0]
    assert run.gpu.value == 2160
    assert run.total == Amount(None, f"CPU: {NO_RAPL}; RAM: no meminfo")


def test_one_query_without_energy_leaves_its_run_without():
    lines = a_journal()
    lines[6] = a_query(1, 2, joules=None)
    one, other = score_of(lines).runs
    reason = "1 of 3 queries: process 7 computes on this GPU too"
    assert one.gpu == one.joules_per_token == Amount(None, reason)
    assert one.above_idle == Amount(None, reason)
    assert one.doubts == []
    assert one.disagreement is None
    assert other.gpu.value == 2160


def test_without_idle_watts_nothing_is_above_them():
    lines = [
        a_stretch(line.run, gpu_idle_watts=None, reason="no watts") if isinstance(line, type(a_stretch(1))) else line
        for line in a_journal()
    ]
    run = score_of(lines).runs[0]
    assert run.gpu.value == 2160
    assert run.above_idle == Amount(None, "no watts")


def test_no_watts_leave_no_peak():
    gpu = PartEnergy(joules=720.0, watts_reason="none fell into it")
    run = a_score(gpu=gpu).runs[0]
    assert run.peak_watts == Amount(None, "none fell into it")
    assert run.disagreement is None


def test_a_run_too_short_for_the_meter_is_doubted():
    run = a_score(seconds=0.1).runs[0]
    assert run.doubts[0].startswith("a window of 0.3 s with 3 updates of the counter: 5 s, or 50 updates")


def test_a_counter_that_the_watts_contradict_is_doubted():
    run = a_score(gpu=PartEnergy(joules=400.0, sampled=700.0)).runs[0]
    assert run.disagreement == 0.75
    assert run.doubts == [
        "the sampled watts are +75.0% from the energy counter. Some GPUs sample their power a quarter of the time"
    ]


def test_a_run_in_pieces_says_so():
    lines = a_journal(a_head(runs=1, queries=6))
    lines[7:7] = [a_session(card="b2"), a_stretch(1)]
    score = score_of(lines)
    assert score.cards == 2
    (run,) = score.runs
    assert run.stretches == 2
    (doubt,) = run.doubts
    assert doubt.startswith("measured in 2 pieces, because its process was ended: at each end of one up to an update")


def test_pieces_that_are_each_too_short_are_doubted_as_the_longest_is():
    lines = a_journal(a_head(runs=1, queries=3), seconds=2.0)
    lines[6:6] = [a_session(), a_stretch(1)]
    assert score_of(lines).runs[0].doubts[0].startswith("a window of 4 s with 40 updates")


def test_a_decode_too_short_has_its_reason():
    run = a_score(decode_joules=None, decode_reason="a window of 0.2 s").runs[0]
    assert run.decode == Amount(None, "a window of 0.2 s")


def test_without_a_window_of_its_own_prefill_is_not_measured():
    assert score_of(a_journal()[:-1]).prefill.note == "not measured"


def test_a_query_of_a_session_without_that_meter_has_no_joules():
    answered = a_score(gpu=None, cpu=None).runs[0].answered[0]
    assert answered.energy("cpu") == Amount(None)
    assert answered.of_gpu(lambda part: part.joules) == Amount(None)
