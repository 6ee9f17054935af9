"""The verdict on whole suites: who convicts them, what their machine explains, who is measured again."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_sessions import case, readings, session, suite, words

from pytest_gpuperf.gate.observations import CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.verdicts import SUITE, find_suspects, judge, judge_suite

POLICY = Policy()


@pytest.mark.parametrize("tests", [1, 2, 3, 48])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.6, 1.0])
def test_a_suite_fails_whatever_share_of_it_became_slower(tests, share):
    rng = np.random.default_rng(1)
    slowed = max(round(share * tests), 1)
    verdicts = judge_suite(suite(rng, [1.1] * slowed + [1.0] * (tests - slowed)), readings({}), POLICY)
    assert words(verdicts) == ["regressed"] * slowed + ["unchanged"] * (tests - slowed)
    assert (SUITE in verdicts) == (tests > 3)  # fewer speak for themselves


def test_the_whole_suite_slower_is_a_verdict_of_its_own():
    verdicts = judge_suite(suite(np.random.default_rng(1), [1.06] * 20), readings({}), POLICY)
    assert verdicts[SUITE].word == "regressed"
    assert "no canary explains any of it" in verdicts[SUITE].reason
    assert judge_suite(suite(np.random.default_rng(1), [0.9] * 20), None, POLICY)[SUITE].word == "improved"
    assert judge_suite(suite(np.random.default_rng(1), [1.0] * 20), None, POLICY)[SUITE].word == "unchanged"
    assert judge_suite(suite(np.random.default_rng(1), [1.4] * 4, k=1), None, POLICY)[SUITE].word == "regressed"
    assert judge_suite(suite(np.random.default_rng(1), [1.0] * 4, k=1), None, POLICY)[SUITE].word == "inconclusive"


def test_a_slower_machine_that_its_canaries_show_convicts_nobody_and_acquits_nobody():
    shifts = {f"now{i}": 0.04 for i in range(3)}
    drawn = suite(np.random.default_rng(2), [1.0] * 20, shifts=shifts)
    explained = judge_suite(drawn, readings(shifts), POLICY)
    assert set(words(explained)) == {"inconclusive"}
    assert explained[SUITE].word == "inconclusive"
    assert "regressed as measured, unchanged without it" in explained["test0"].reason
    for canaries in (None, {}, readings({}), {n: {} for n in readings({})}):
        assert judge_suite(drawn, canaries, POLICY)[SUITE].word == "regressed"


def test_a_canary_that_was_disturbed_once_leaves_the_others_to_tell():
    drawn = suite(np.random.default_rng(2), [1.05] + [1.0] * 20)
    calm = readings({})
    disturbed = {**calm, "now1": {**calm["now1"], "loop": (1.6e-3,) * 8}}
    canaries = {n: {"loop": (1e-3,) * 8, **w} for n, w in disturbed.items()}
    assert words(judge_suite(drawn, canaries, POLICY)) == ["regressed"] + ["unchanged"] * 20


def test_canaries_without_a_name_in_common_explain_nothing():
    shifts = {f"now{i}": 0.04 for i in range(3)}
    drawn = suite(np.random.default_rng(2), [1.0] * 20, shifts=shifts)
    apart = {n: {n: (1e-3,)} for n in readings({})}
    assert judge_suite(drawn, apart, POLICY)[SUITE].word == "regressed"


def test_a_slower_test_stands_out_from_a_slower_machine():
    shifts = {f"now{i}": 0.02 for i in range(3)}
    verdicts = judge_suite(
        suite(np.random.default_rng(2), [1.05] + [1.0] * 20, shifts=shifts), readings(shifts), POLICY
    )
    assert verdicts["test0"].word == "regressed"
    assert "regressed" not in words(verdicts)[1:]
    assert "without what the canaries (fixed work) show" in verdicts["test0"].reason


def test_canaries_that_disagree_or_that_the_suite_does_not_follow_are_not_believed():
    """Two of three slower for a cause of their own; all three slower, and no case with them."""
    drawn = suite(np.random.default_rng(2), [1.05] + [1.0] * 20)
    calm = readings({})
    slow = {n: {w: tuple(x * 1.05 for x in r) for w, r in of.items()} for n, of in calm.items() if n.startswith("now")}
    alone = {n: {**(slow.get(n) or of), "loop": (1e-3,) * 8} for n, of in calm.items()}
    for canaries in (alone, {**calm, **slow}):
        assert words(judge_suite(drawn, canaries, POLICY)) == ["regressed"] + ["unchanged"] * 20


def test_one_wild_case_among_few_does_not_blind_the_steady_ones():
    rng = np.random.default_rng(3)
    drawn = suite(rng, [1.05, 1.0], sd=0.003) | {"wild": case(rng, sd=0.6)}
    verdicts = judge_suite(drawn, None, POLICY)
    assert [verdicts["test0"].word, verdicts["test1"].word] == ["regressed", "unchanged"]
    assert verdicts["test1"].margin == pytest.approx(0.03)


def test_a_margin_is_what_the_sessions_tell_up_to_a_cap_unless_it_is_given():
    rng = np.random.default_rng(4)
    steady, noisy, wild = (case(rng, sd=sd) for sd in (0.003, 0.02, 0.2))
    steady, noisy, wild = (judge(c.baseline, c.candidate, POLICY) for c in (steady, noisy, wild))
    assert steady.margin == pytest.approx(0.03)
    assert 0.03 < noisy.margin < 0.1
    assert wild.margin == pytest.approx(0.1)
    strict = case(rng, sd=0.02)
    assert judge(strict.baseline, strict.candidate, Policy(margin=0.02)).margin == pytest.approx(0.02)


def test_nothing_is_improved_that_did_not_become_faster_as_measured():
    shifts = {f"now{i}": 0.1 for i in range(3)}
    verdicts = judge_suite(suite(np.random.default_rng(3), [1.0] * 12), readings(shifts), POLICY)
    assert "improved" not in {v.word for v in verdicts.values()}


def test_nothing_is_regressed_that_did_not_become_slower_as_measured():
    shifts = {f"now{i}": -0.1 for i in range(3)}
    verdicts = judge_suite(suite(np.random.default_rng(3), [0.99] * 12), readings(shifts), POLICY)
    assert "regressed" not in {v.word for v in verdicts.values()}


def test_a_coarse_timers_one_step_is_no_regression_in_a_suite():
    tick = 0.5e-6

    def ticked(name, level):
        return Observed(name, (level,) * 16)

    rng = np.random.default_rng(12)
    drawn = suite(rng, [1.0] * 48)
    drawn["tiny"] = CaseEvidence(
        [ticked(f"then{i}", 28 * tick) for i in range(5)], [ticked(f"now{i}", 29 * tick) for i in range(3)]
    )
    stepped = judge_suite(drawn, None, POLICY)["tiny"]
    assert stepped.word != "regressed"
    assert stepped.detectable > 0.07  # two steps
    drawn["tiny"] = replace(drawn["tiny"], candidate=[ticked(f"now{i}", 31 * tick) for i in range(3)])
    assert judge_suite(drawn, None, POLICY)["tiny"].word == "regressed"


def test_cases_without_one_noise_are_not_pooled_into_one():
    rng = np.random.default_rng(14)
    drawn = suite(rng, [1.0] * 30, sd=0.002)
    drawn |= {f"wild{i}": case(rng, 1.0, sd=0.05) for i in range(3)}
    assert "regressed" not in words(judge_suite(drawn, None, POLICY))


def slightly_slower(rng, ratio, tests=40, c=1, **given):
    """A suite in which everything is slower by little: no case is suspicious by much, the suite is."""
    return suite(rng, [ratio] * tests, sd=0.002, c=c, **given)


def test_a_suspicious_suite_has_a_bounded_number_of_typical_cases_measured_again():
    rng = np.random.default_rng(20)
    drawn = {f"test{i}": case(rng, 1.008, sd=0.004, c=1) for i in range(20)}
    by_themselves = find_suspects(drawn | {f"fast{i}": case(rng, 0.99, sd=0.004, c=1) for i in range(30)}, None, POLICY)
    assert len(by_themselves) < 16
    assert len(find_suspects(drawn, None, POLICY)) == 16
    assert len(find_suspects({n: drawn[n] for n in list(drawn)[:3]}, None, POLICY)) < 3


def test_the_suite_is_convicted_by_fresh_sessions_or_by_twice_as_much():
    rng = np.random.default_rng(21)
    once = slightly_slower(rng, 1.02)
    assert judge_suite(once, None, POLICY)[SUITE].word != "regressed"
    assert judge_suite(slightly_slower(rng, 1.1), None, POLICY)[SUITE].word == "regressed"
    thrice = slightly_slower(rng, 1.02, c=3)
    some = once | {n: thrice[n] for n in list(thrice)[:16]}
    assert judge_suite(some, None, POLICY)[SUITE].word == "regressed"
    # The first session was slow, the fresh ones are not: the suite is acquitted.
    calm = slightly_slower(rng, 1.0, c=3)
    first = {n: replace(c, candidate=[session("now0", c.candidate[0].medians[0] * 1.02, rng), *c.candidate[1:]])
             for n, c in calm.items()}  # fmt: skip
    mixed = {n: replace(c, candidate=c.candidate[: 3 if i < 16 else 1]) for i, (n, c) in enumerate(first.items())}
    assert judge_suite(mixed, None, POLICY)[SUITE].word != "regressed"


@pytest.mark.parametrize("tests", [4, 12])
def test_the_suite_honours_what_each_case_allows(tests):
    rng = np.random.default_rng(22)
    twice = suite(rng, [1.5] * tests)
    assert judge_suite(twice, None, POLICY)[SUITE].word == "regressed"
    allowed = {n: replace(c, policy=Policy(tolerance=0.6)) for n, c in twice.items()}
    verdicts = judge_suite(allowed, None, POLICY)
    assert set(words(verdicts)) == {"unchanged"}
    assert verdicts[SUITE].word == "unchanged"


def test_what_was_left_out_is_said():
    rng = np.random.default_rng(23)
    one = case(rng)
    hot = [session(f"hot{i}", 1.2e-3, rng, state="thermal slow-down") for i in range(2)]
    for baseline, candidate, side in (
        (one.baseline, [*one.candidate, *hot], "2 of this run"),
        ([*one.baseline, *hot], one.candidate, "2 of the baseline"),
    ):
        verdict = judge(baseline, candidate, POLICY)
        assert verdict.word == "unchanged"
        assert verdict.reason.endswith(f"(thermal slow-down): {side}")
    assert "left out" not in judge(one.baseline, one.candidate, POLICY).reason


@pytest.mark.parametrize("tests", [5, 12])
def test_cases_of_one_session_each_and_cases_that_share_no_session(tests):
    rng = np.random.default_rng(24)
    shifts = {f"now{i}": 0.02 for i in range(3)}
    single = suite(rng, [1.0] * tests, k=1, shifts=shifts)
    assert set(words(judge_suite(single, readings(shifts, k=1), POLICY))) == {"inconclusive"}

    def renamed(c, prefix):
        return replace(c, baseline=[replace(s, id=f"{prefix}{s.id}") for s in c.baseline])

    apart = {n: renamed(c, n) for n, c in suite(rng, [1.0] * tests).items()}
    assert "regressed" not in {v.word for v in judge_suite(apart, None, POLICY).values()}
