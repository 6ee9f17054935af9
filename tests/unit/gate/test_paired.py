"""Two sides side by side: the launch replicates, one odd launch decides nothing, and little evidence says so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuperf.gate.observations import Policy
from pytest_gpuperf.gate.side_by_side import (
    USUAL,
    Launch,
    judge_paired,
    judge_paired_suite,
    needs_more_launches,
    usual_spreads,
    wanting_launches,
)

POLICY = Policy()


def launch(rng, ratio=1.0, sd=0.001, base=1e-3, tick=0.0):
    level = base * math.exp(rng.normal(0, sd))

    def side(level):
        blocks = level * np.exp(rng.normal(0, 0.003, (12, 8)))
        return np.round(blocks / tick) * tick if tick else blocks

    return Launch(side(base).tolist(), side(level * ratio).tolist())


def launches(rng, ratio=1.0, count=5, **given):
    return [launch(rng, ratio, **given) for _ in range(count)]


@pytest.mark.parametrize(
    ("ratio", "word"),
    [(1.0, "unchanged"), (1.03, "regressed"), (1.5, "regressed"), (0.9, "improved")],
)
def test_a_change_is_told(ratio, word):
    verdict = judge_paired(launches(np.random.default_rng(0), ratio), POLICY)
    assert verdict.word == word
    assert verdict.low < ratio < verdict.high


def test_nothing_is_convicted_before_all_launches_ran_and_unchanged_stops_early():
    rng = np.random.default_rng(1)
    slow = launches(rng, 1.5, 4)
    assert judge_paired(slow, POLICY).word == "inconclusive"
    assert "1 more" in judge_paired(slow, POLICY).reason
    assert needs_more_launches(slow, POLICY)
    assert not needs_more_launches(launches(rng, 1.5, 5), POLICY)
    assert not needs_more_launches(launches(rng, 1.0, 2), POLICY)
    assert needs_more_launches(launches(rng, 0.98, 2), POLICY)
    assert needs_more_launches([], POLICY)
    assert needs_more_launches(launches(rng, 1.0, 1), POLICY)


def test_who_seems_much_faster_is_not_called_unchanged_before_all_launches_ran():
    fast = launches(np.random.default_rng(4), 0.5, 5)
    early = judge_paired(fast[:2], POLICY)
    assert early.word == "inconclusive"
    assert "before anything may be called regressed or improved" in early.reason
    assert judge_paired(fast, POLICY).word == "improved"


def test_one_odd_launch_neither_convicts_nor_hides():
    rng = np.random.default_rng(2)
    odd = launch(rng, 1.4)
    assert judge_paired([odd, *launches(rng, 1.0, 4)], POLICY).word == "unchanged"
    assert judge_paired([odd, *launches(rng, 1.05, 4)], POLICY).word == "regressed"
    assert judge_paired([launch(rng, 0.7), *launches(rng, 1.05, 4)], POLICY).word == "regressed"


def test_disturbed_rounds_do_not_speak_for_a_launch():
    rng = np.random.default_rng(3)
    disturbed = []
    for one in launches(rng):
        slow = [[s * 1.6 for s in block] if i % 2 else block for i, block in enumerate(one.b)]
        disturbed.append(Launch(one.a, slow))
    assert judge_paired(disturbed, POLICY).word == "unchanged"


def test_launches_that_differ_are_inconclusive_and_the_reason_helps():
    rng = np.random.default_rng(4)
    wide = [launch(rng, r) for r in (0.95, 0.98, 1.03, 1.07, 1.04)]
    reason = judge_paired(wide, POLICY).reason
    assert "about" in reason
    assert "launches would show a change of 4.5%" in reason
    wild = [launch(rng, r) for r in (0.3, 0.7, 1.05, 2.0, 4.0)]
    assert "lock the clocks" in judge_paired(wild, POLICY).reason


def test_a_coarse_timer_is_read_between_its_steps():
    rng = np.random.default_rng(5)
    tiny = {"base": 14.2e-6, "tick": 0.5e-6}
    assert judge_paired(launches(rng, 1.0, **tiny), POLICY).word != "regressed"
    assert judge_paired(launches(rng, 1.1, **tiny), POLICY).word == "regressed"
    assert judge_paired(launches(rng, 1.025, **tiny), POLICY).word == "regressed"  # 0.7 of a step


def test_a_suite_needs_more_evidence_of_each():
    rng = np.random.default_rng(6)
    cases = {str(i): launches(rng) for i in range(40)}
    together = judge_paired_suite(cases, POLICY)
    assert {v.word for v in together.values()} == {"unchanged"}
    assert together["0"].detectable >= judge_paired(cases["0"], POLICY).detectable
    assert judge_paired_suite({}, POLICY) == {}


def test_a_machine_whose_launches_differ_fails_no_unchanged_suite_and_still_finds_much():
    rng = np.random.default_rng(7)
    failed = found = 0
    for _ in range(150):
        cases = {str(i): launches(rng, sd=0.02) for i in range(8)} | {"slow": launches(rng, 1.08, sd=0.02)}
        words = {name: v.word for name, v in judge_paired_suite(cases, POLICY).items()}
        found += words.pop("slow") == "regressed"
        failed += "regressed" in words.values()
    assert failed <= 3  # 1 % of 150, and what chance adds
    assert found > 100


def test_by_how_much_launches_differ_is_learned_from_the_other_cases():
    rng = np.random.default_rng(8)
    noisy = {str(i): launches(rng, sd=0.03) for i in range(20)}
    spreads = usual_spreads({"like": launches(rng, sd=0.02), **noisy, "none": []})
    assert [spreads["like"], spreads["none"]] == pytest.approx([0.03, 0.03], rel=0.35)
    assert usual_spreads({"calm": launches(rng, sd=0.001), **noisy})["calm"] < 0.01, "what differs so is not like it"
    assert usual_spreads({"alone": launches(rng, sd=0.01)}, {"alone": 0.02})["alone"] > 0.01, "as it differed before"
    calm = {str(i): launches(rng, sd=0.001) for i in range(20)}
    assert usual_spreads({"noisy": launches(rng, sd=0.03), **calm})["noisy"] == USUAL
    assert usual_spreads({"alone": launches(rng, sd=0.03)})["alone"] > 0.02, "nothing says that the machine is calmer"
    alone = launches(rng, 1.0, 2, sd=0.001)
    assert not needs_more_launches(alone, POLICY)
    assert needs_more_launches(alone, POLICY, usual=0.03), "where others differ more, two that agree may be chance"


def test_one_case_alone_is_judged_as_strictly_as_six():
    drawn = launches(np.random.default_rng(9))
    alone, six, many = (judge_paired(drawn, Policy(comparisons=n)).detectable for n in (1, 6, 10**6))
    assert alone == six < many


positive = st.floats(1e-9, 1e6)
blocks = st.lists(st.lists(positive, min_size=1, max_size=9), max_size=6)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.builds(Launch, blocks, blocks), max_size=6))
def test_any_finite_input_gets_a_finite_verdict(drawn):
    verdict = judge_paired(drawn, POLICY)
    assert all(math.isfinite(x) for x in (verdict.ratio, verdict.low, verdict.high))
    if sum(bool(d.a and d.b) for d in drawn) < 5:
        assert verdict.word in {"inconclusive", "unchanged"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_neither_the_unit_nor_the_order_of_launches_matters(seed, scale):
    rng = np.random.default_rng(seed)
    drawn = launches(rng, 1.02)
    first = judge_paired(drawn, POLICY)
    scaled = [Launch([[s * scale for s in x] for x in d.a], [[s * scale for s in x] for x in d.b]) for d in drawn]
    for other in (judge_paired(scaled, POLICY), judge_paired(drawn[::-1], POLICY)):
        assert (other.word, other.ratio) == (first.word, pytest.approx(first.ratio, rel=1e-9))


def test_many_launches_find_what_few_cannot_and_two_odd_ones_at_each_end_decide_nothing():
    rng = np.random.default_rng(10)
    slow = launches(rng, 1.03, 20, sd=0.02)
    few, many = (judge_paired(slow[:count], POLICY) for count in (5, 20))
    assert [few.word, many.word] == ["inconclusive", "regressed"]
    assert many.detectable < few.detectable
    odd = [launch(rng, r) for r in (0.5, 0.6, 1.5, 1.6)]
    assert judge_paired([*odd, *launches(rng, 1.0, 12)], POLICY).word == "unchanged"
    assert judge_paired([*odd, *launches(rng, 1.05, 12)], POLICY).word == "regressed"


def test_an_open_case_gets_launches_up_to_the_next_look_and_a_plain_one_none():
    rng = np.random.default_rng(11)
    noisy, plain = [launch(rng, r) for r in (0.93, 1.09, 0.97, 1.12, 1.02) * 4], launches(rng, sd=0.001)
    policies = {"noisy": POLICY, "plain": POLICY}

    def wanted(count, *, extended=True):
        return wanting_launches({"noisy": noisy[:count], "plain": plain[:2]}, policies, extended=extended)

    assert [wanted(count) for count in (2, 5, 6, 7)] == [{"noisy"}] * 4
    assert wanted(5, extended=False) == wanted(20) == set()
