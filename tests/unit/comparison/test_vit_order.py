"""In which order vision transformers are measured, and what a budget leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vit_runs import case_of

from pytest_gpuperf.comparison.vit_order import QUESTIONS, choose, every_case, stages_of
from pytest_gpuperf.comparison.vit_pace import Pace
from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import DESIGNS, MODES, PLACES, SPACES

FULL, SMOKE = SPACES["full"], SPACES["smoke"]
A, B, C = (case_of(f"p16-d12-h{width}-r512") for width in (768, 384, 1024))


def ten(_):
    return 10.0


def test_the_whole_space_is_there_with_all_that_sizes_say():
    every = FULL.every()
    assert len(every) == len(set(every)) == 3 * 4 * 4 * 4
    assert ViT(8, 24, 1280, 2048) in every
    assert all(vit.tokens * vit.parameters * vit.flops(8) * vit.memory(8, 2) > 0 for vit in every)
    assert all(vit.hidden % vit.heads == 0 for vit in every)


@pytest.mark.parametrize("space", [FULL, SMOKE], ids=["full", "smoke"])
def test_the_centre_comes_first_and_then_one_size_at_a_time(space):
    first, *_ = stages_of([1], space)
    assert first[0].vit == space.centre
    for case in first:
        assert sum(getattr(case.vit, s) != getattr(space.centre, s) for s in ("patch", "depth", "hidden")) <= 1
        assert case.vit.resolution == space.centre.resolution


def test_corners_follow_and_the_rest_is_last():
    lines, corners, rest = stages_of([1], FULL)
    assert {case.vit for case in corners} == {
        ViT(patch, depth, width, 512) for patch in (8, 32) for depth in (6, 24) for width in (384, 1280)
    }
    assert len(lines) + len(corners) + len(rest) == 3 * 4 * 4


def test_resolutions_of_the_centre_come_before_those_of_others():
    first, second, rest = stages_of([2], FULL)
    assert {case.vit.resolution for case in first} == {256, 512, 1024, 2048}
    assert {replace(case.vit, resolution=512) for case in first} == {FULL.centre}
    assert len(second) == 8 * 4
    assert {case.vit for stage in (first, second, rest) for case in stage} == set(FULL.every())


def test_a_compiler_is_tried_in_every_mode_beside_none():
    first, *_ = stages_of([3], FULL)
    assert [case.way for case in first] == list(MODES)
    assert {case.vit for case in first} == {FULL.centre}


def test_a_place_and_a_pipeline_are_tried_at_the_centre_and_at_the_ends_of_resolution():
    for question, ways in ((4, PLACES), (5, DESIGNS)):
        first, second = stages_of([question], FULL)
        assert [case.way for case in first] == list(ways)
        assert {case.vit.resolution for case in second} == {256, 2048}
    assert len(DESIGNS) == 10
    assert {case.function for case in every_case(FULL)} == {"test_vit", "test_numa", "test_pipeline"}


def test_questions_share_cases_and_take_their_stages_in_turn():
    together = stages_of(QUESTIONS, SMOKE)
    assert [case for stage in together for case in stage] == every_case(SMOKE)
    assert len(every_case(SMOKE)) == len(set(every_case(SMOKE)))
    firsts = [set(stages_of([question], SMOKE)[0]) for question in QUESTIONS]
    assert set(together[0]) == set().union(*firsts)


def test_a_round_over_all_cases_comes_before_the_next_round():
    done = {}
    for expected in (A, B, A, B, A, B):
        chosen = choose([(A, B)], done, ten, 1000)
        assert chosen.case == expected
        done[chosen.case] = done.get(chosen.case, 0) + 1
    assert choose([(A, B)], done, ten, 1000) is None


def test_a_stage_is_finished_before_the_next_begins():
    assert choose([(A,), (B,)], {A: 2}, ten, 1000).case == A
    assert choose([(A,), (B,)], {A: 3}, ten, 1000).case == B


def test_a_case_is_begun_only_where_all_its_sessions_fit():
    chosen = choose([(A, B, C)], {A: 1}, ten, 55)
    assert (chosen.case, chosen.sessions_left, chosen.seconds_left) == (B, 5, 50)
    assert choose([(A, B)], {}, {A: 100.0, B: 10.0}.get, 40).case == B


def test_what_time_is_left_over_is_for_cases_with_fewer_sessions():
    assert choose([(A,)], {}, ten, 25).sessions_left == 2
    assert choose([(A,)], {}, ten, 15).sessions_left == 1
    assert choose([(A,)], {}, ten, 5) is None


def test_a_dear_case_of_a_stage_gets_time_before_cheap_ones_of_the_next():
    costs = {A: 10.0, B: 60.0, C: 10.0}
    assert choose([(A, B), (C,)], {A: 3}, costs.get, 100).case == B
    assert choose([(A, B), (C,)], {A: 3, B: 1}, costs.get, 100).case == B
    assert choose([(A, B), (C,)], {A: 3}, costs.get, 50).case == C


def test_before_anything_is_measured_a_guess_must_do():
    guess = Pace("cuda")
    assert guess.call(A) == pytest.approx(A.flops / 1e14)
    assert 15 < guess.seconds(A) < 60
    assert guess.seconds(replace(A, way="compile")) > guess.seconds(A) + 60


def test_a_call_takes_as_long_as_the_case_of_the_nearest_size_says():
    pace = Pace("cuda", {A: 0.01, case_of("p8-d24-h1280-r2048"): 5.0})
    assert pace.call(A) == 0.01
    assert pace.call(B) == pytest.approx(0.01 * B.flops / A.flops)


def test_what_sessions_took_replaces_the_guess():
    pace = Pace("cpu", {A: 0.01}, [(A, 40.0), (A, 44.0), (A, 42.0)])
    assert pace.seconds(A) == pytest.approx(42.0)
    assert pace.seconds(replace(A, way="compile")) > 90, "of a compiler nothing is known yet"
    assert Pace("cpu", {A: 0.01}, [(A, 0.1)]).seconds(A) > 0.1
