"""The verdict on stored baselines: what convicts, what acquits, what cannot tell, and what may explain."""

import math
from dataclasses import replace

import numpy as np
import pytest
from drawn_sessions import case, readings, session, suite, words
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuperf.gate.observations import CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.verdicts import find_suspects, judge, judge_suite

POLICY = Policy()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("ratio", "word"), [(1.0, "unchanged"), (1.1, "regressed"), (0.9, "improved"), (3.0, "regressed")]
)
def test_one_case_by_itself(ratio, word):
    one = case(np.random.default_rng(0), ratio)
    verdict = judge(one.baseline, one.candidate, POLICY)
    assert verdict.word == word
    assert verdict.low < ratio < verdict.high
    assert verdict.ratio == pytest.approx(ratio, rel=0.02)


def test_who_seems_much_faster_and_is_not_known_to_be_is_not_called_unchanged():
    noisy = case(np.random.default_rng(0), 0.7, sd=0.2, c=1)
    verdict = judge(noisy.baseline, noisy.candidate, POLICY)
    assert verdict.word == "inconclusive"
    assert verdict.ratio < 0.9
    assert "sessions differ by" in verdict.reason


@pytest.mark.parametrize(("k", "gross"), [(1, "25%"), (2, "15%")])
def test_few_baseline_sessions_tell_only_gross_changes_and_say_so(k, gross):
    rng = np.random.default_rng(4)
    small, large, faster = (case(rng, r, k=k) for r in (1.1, 1.5, 0.5))
    verdict = judge(small.baseline, small.candidate, POLICY)
    assert verdict.word == "inconclusive"
    assert gross in verdict.reason
    assert f"--sessions {5 - k}" in verdict.reason
    assert judge(large.baseline, large.candidate, POLICY).word == "regressed"
    assert judge(faster.baseline, faster.candidate, POLICY).word == "improved"
    assert find_suspects({"a": small, "b": large}, None, POLICY) == {"a", "b"}  # turns can tell what these cannot


def test_only_what_the_first_session_makes_suspicious_is_measured_again():
    rng = np.random.default_rng(5)
    drawn = suite(rng, [1.1] + [1.0] * 20)
    assert find_suspects(drawn, readings({}), POLICY) == {"test0"}
    alone = {n: replace(c, candidate=c.candidate[:1]) for n, c in drawn.items()}
    assert find_suspects(alone, readings({}), POLICY) == {"test0"}


def test_one_slow_session_convicts_nobody():
    rng = np.random.default_rng(6)
    one = case(rng)
    slow = session("now0", 1.1e-3, rng)
    assert judge(one.baseline, [slow, *one.candidate[1:]], POLICY).word != "regressed"


def test_one_session_alone_convicts_only_of_twice_as_much():
    rng = np.random.default_rng(6)
    drawn = suite(rng, [1.015] + [1.0] * 20, c=1, sd=0.002)
    verdict = judge_suite(drawn, None, POLICY)["test0"]
    assert verdict.word != "regressed"
    assert judge_suite(suite(rng, [1.3] + [1.0] * 20, c=1), None, POLICY)["test0"].word == "regressed"


def test_one_slow_baseline_session_neither_acquits_nor_blinds():
    rng = np.random.default_rng(7)
    drawn = suite(rng, [1.05] + [1.0] * 20)
    odd = session("then0", 1.3e-3, rng)
    one = replace(drawn["test0"], baseline=[odd, *drawn["test0"].baseline[1:]])
    assert (
        judge_suite(
            drawn | {"test1": replace(drawn["test1"], baseline=[odd, *drawn["test1"].baseline[1:]])}, None, POLICY
        )["test0"].word
        == "regressed"
    )
    assert judge([odd, *one.baseline[1:]], one.candidate, POLICY).word != "unchanged"


def test_throttled_sessions_are_left_out_unless_both_sides_were():
    rng = np.random.default_rng(8)
    one = case(rng)
    hot = [session(f"hot{i}", 1.2e-3, rng, state="thermal slow-down") for i in range(3)]
    assert judge(one.baseline, [*one.candidate, *hot], POLICY).word == "unchanged"
    verdict = judge(one.baseline, hot, POLICY)
    assert verdict.word == "inconclusive"
    assert "thermal slow-down" in verdict.reason
    both = [session(f"was{i}", 1.2e-3, rng, sd=0.001, state="thermal slow-down") for i in range(5)]
    assert judge(both, hot, POLICY).word == "unchanged"
    assert find_suspects({"a": CaseEvidence(one.baseline, hot)}, None, POLICY) == {"a"}


def test_sessions_of_one_state_are_compared_and_no_others():
    """One throttled session in the baseline does not make its other four a measure of a throttled card."""
    rng = np.random.default_rng(8)
    one = case(rng)
    hot = [session(f"hot{i}", 1.2e-3, rng, state="thermal slow-down") for i in range(3)]
    verdict = judge([*one.baseline[:4], replace(one.baseline[4], state="thermal slow-down")], hot, POLICY)
    assert verdict.word == "inconclusive"
    assert "both sides in the state: thermal slow-down" in verdict.reason
    assert "left out for another state (no slow-down): 4 of the baseline" in verdict.reason


def test_a_side_without_sessions_is_inconclusive():
    one = case(np.random.default_rng(8))
    assert judge([], one.candidate, POLICY).word == "inconclusive"
    assert judge(one.baseline, [], POLICY).word == "inconclusive"


def test_published_figures_convict_only_of_a_gross_loss():
    rng = np.random.default_rng(9)
    cases = {
        str(r): CaseEvidence([session("paper", 1e-3, rng)], [session("now", r * 1e-3, rng)], None, True)
        for r in (0.5, 1.2, 1.4)
    }
    assert words(judge_suite(cases, None, POLICY)) == ["reference", "reference", "regressed"]
    assert find_suspects(cases, None, POLICY) == set()


def test_more_comparisons_need_more_evidence():
    one = case(np.random.default_rng(10), 1.05, sd=0.01)
    alone, many = (judge(one.baseline, one.candidate, Policy(comparisons=n)) for n in (1, 10000))
    assert many.detectable > alone.detectable


def test_days_and_cards_never_seen_widen_the_interval():
    rng = np.random.default_rng(11)
    one = case(rng)

    def judged(times, now, card="a"):
        baseline = [replace(s, time=t, card="a") for s, t in zip(one.baseline, times, strict=True)]
        return judge(baseline, [replace(s, time=now, card=card) for s in one.candidate], POLICY)

    same_hour = judged([i * 60.0 for i in range(5)], 400.0)
    next_day = judged([i * 60.0 for i in range(5)], 24 * HOUR)
    seen = judged([i * 24 * HOUR for i in range(5)], 200 * HOUR)
    other_card = judged([i * 60.0 for i in range(5)], 400.0, "b")
    assert next_day.high > same_hour.high
    assert other_card.high > same_hour.high
    assert seen.high == same_hour.high


def test_one_figure_a_session_has_no_timers_step():
    drawn = suite(np.random.default_rng(12), [1.0] * 48)
    memory = [Observed(f"then{i}", (2.0**20,)) for i in range(5)]
    drawn["memory"] = CaseEvidence(memory, [Observed(f"now{i}", (2.0**20 * 1.05,)) for i in range(3)])
    assert judge_suite(drawn, None, POLICY)["memory"].word == "regressed"


def test_reasons_name_figures_and_the_next_step():
    rng = np.random.default_rng(13)
    noisy = case(rng, 1.01, k=3, sd=0.03)
    reason = judge(noisy.baseline, noisy.candidate, POLICY).reason
    assert "in 3 sessions, beside 3 of the baseline" in reason
    assert "%" in reason
    strict = replace(POLICY, margin=0.03)
    steady = [case(rng, 1.025, k=4, c=3, sd=0.009) for _ in range(40)]
    reasons = {judge(c.baseline, c.candidate, strict).reason for c in steady}
    hopeless = case(rng, 1.0, sd=0.2)
    assert any("gpuperf calibrate --sessions" in r for r in reasons)
    reason = judge(hopeless.baseline, hopeless.candidate, POLICY).reason
    assert "lock the clocks" in reason
    suggested = int(reason.rsplit("margin='")[1].split("%")[0]) / 100
    assert judge(hopeless.baseline, hopeless.candidate, replace(POLICY, margin=suggested)).word == "unchanged"


positive = st.floats(min_value=1e-9, max_value=1e6)
observed = st.lists(st.lists(positive, min_size=1, max_size=20), min_size=1, max_size=6)


def sides(baseline, candidate):
    return (
        [Observed(f"then{i}", m) for i, m in enumerate(baseline)],
        [Observed(f"now{i}", m) for i, m in enumerate(candidate)],
    )


@settings(max_examples=150, deadline=None)
@given(observed, observed)
def test_any_finite_input_gets_a_finite_verdict(baseline, candidate):
    verdict = judge(*sides(baseline, candidate), POLICY)
    assert all(math.isfinite(x) for x in (verdict.ratio, verdict.low, verdict.high, verdict.detectable))
    assert verdict.low <= verdict.ratio <= verdict.high
    assert verdict.reason
    if len(baseline) <= 2 and verdict.word == "regressed":
        assert verdict.ratio > 1.15


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.sampled_from([1.0, 1.02, 1.05, 1.2]))
def test_neither_the_unit_nor_the_order_of_sessions_matters(seed, scale, ratio):
    rng = np.random.default_rng(seed)
    one = case(rng, ratio)
    verdict = judge(one.baseline, one.candidate, POLICY)
    scaled = [[replace(s, medians=[m * scale for m in s.medians]) for s in x] for x in (one.baseline, one.candidate)]
    other = judge(*scaled, POLICY)
    assert (other.word, other.ratio) == (verdict.word, pytest.approx(verdict.ratio, rel=1e-9))
    shuffled = [one.baseline[i] for i in rng.permutation(5)]
    reordered = judge(shuffled, one.candidate, POLICY)
    assert (reordered.word, reordered.ratio) == (verdict.word, pytest.approx(verdict.ratio, rel=1e-9))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.0, 1.3), st.floats(1.0, 1.3), st.floats(0.001, 0.05))
def test_more_slow_down_never_turns_regressed_into_unchanged(seed, less, more, sd):
    less, more = sorted((less, more))
    one = case(np.random.default_rng(seed), sd=sd)
    rank = {"improved": 0, "unchanged": 1, "inconclusive": 2, "regressed": 3}
    first, second = (
        judge(one.baseline, [replace(s, medians=[m * r for m in s.medians]) for s in one.candidate], POLICY).word
        for r in (less, more)
    )
    assert rank[second] >= rank[first] or (first == "improved" and second != "improved")
