"""How far a server goes, where it is best, and who is better."""

from __future__ import annotations

import math

import pytest
from loads import a_text_point, a_text_study

from pytest_gpuperf.comparison.text_winners import (
    REQUESTS,
    TOKENS,
    TTFT,
    TTFT_P99,
    advised_by,
    behind,
    best,
    decided_at_best,
    figures,
    highest,
    knee,
    law,
    met,
    situation,
)
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.text_load import Late
from pytest_gpuperf.records.text_study import TextPoint

SLO = {"slo": {"ttft": 0.5}}
BEHIND = {"verdict": "inconclusive", "growth": 0.5}


def good(at, rate=50.0, within=1.0, **changes):
    return a_text_point(at, rate, within=within, looked_at=300, **changes)


def at_rates(*rounds, **asked):
    return a_text_study("vllm", rounds, sweep="rate", **asked)


def bests(*studies):
    found = {s.contender: best(s, advised_by(studies)) for s in studies}
    return {name: one for name, one in found.items() if one is not None}


def test_the_highest_point_met_the_limits_in_every_round():
    study = a_text_study(rounds=[[good(1), good(2), good(4)], [good(1), good(2), good(4, within=0.5)]], **SLO)
    assert highest(study) == 2
    assert [met(study, at) for at in (1, 2, 4)] == [2, 2, 1]
    assert highest(a_text_study(rounds=[[good(1, within=0.5)]], **SLO)) is None


def test_a_round_without_a_server_met_nothing():
    assert highest(a_text_study(rounds=[[good(1)], []], **SLO)) is None


def test_the_knee_lies_between_two_rates():
    kept = [a_text_point(1), a_text_point(2)]
    study = at_rates([*kept, a_text_point(4, **BEHIND)], [*kept, a_text_point(4, **BEHIND)], [*kept, a_text_point(4)])
    assert knee(study) == (2, 4)
    assert behind(study, 4) == 2


def test_there_is_no_knee_where_it_mostly_keeps_up():
    assert knee(at_rates([a_text_point(1, **BEHIND)], [a_text_point(1)])) is None
    assert knee(at_rates([a_text_point(1, **BEHIND)])) == (None, 1)


def test_the_law_is_of_all_loads_of_all_rounds():
    found = law(a_text_study())
    assert found.fits
    assert (found.g, found.a) == pytest.approx((10, 0.1), rel=0.05)
    assert law(a_text_study(rounds=[[TextPoint(at=n, failed="x") for n in (1, 2, 4, 8)]])) is None


def test_best_is_the_least_load_that_brings_as_much_as_any():
    rounds = [[a_text_point(1, 10), a_text_point(2, f * 19.9), a_text_point(4, f * 20)] for f in (1.0, 1.02)]
    one = best(a_text_study(rounds=rounds), REQUESTS)
    assert one.at == 2
    assert one.low < 19.9 < one.value < one.high
    assert one.has_interval


def test_one_round_has_no_interval():
    assert not best(a_text_study(rounds=[[a_text_point(1)]]), TOKENS).has_interval


def test_best_is_no_point_that_missed_the_limits_failed_or_fell_behind():
    rounds = [[good(1, 10), good(2, 20, within=0.9)], [good(1, 10), good(2, 20)]]
    study = a_text_study(rounds=rounds, **SLO)
    assert best(study, advised_by([study])).at == 1
    failed = a_text_study(
        rounds=[[a_text_point(1, 10), TextPoint(at=2, failed="died")], [a_text_point(1, 10), a_text_point(2)]]
    )
    assert best(failed, TOKENS).at == 1
    rates = at_rates([a_text_point(1, 1.0), a_text_point(2, 1.5, **BEHIND)])
    assert best(rates, REQUESTS).at == 1
    assert best(a_text_study(rounds=[[TextPoint(at=1, failed="died")]]), TOKENS) is None


def test_advice_goes_by_goodput_else_tokens_else_requests():
    assert advised_by([a_text_study(rounds=[[good(1)]], **SLO)]).name == "goodput"
    assert advised_by([a_text_study()]) is TOKENS
    uncounted = a_text_study("tgi", [[a_text_point(1, generated_tokens=None)]])
    assert advised_by([a_text_study(), uncounted]) is REQUESTS


def test_each_at_its_best_decides():
    slow = a_text_study("slow", [[a_text_point(1, f * 10), a_text_point(2, f * 10)] for f in (1.0, 1.02)])
    quick = a_text_study("quick", [[a_text_point(1, f * 15), a_text_point(2, f * 30)] for f in (1.0, 1.02)])
    decision = decided_at_best([slow, quick], bests(slow, quick))
    assert (decision.best, decision.second, decision.outcome) == ("quick", "slow", "winner")
    assert decision.ratio == pytest.approx(3.0)
    assert math.isfinite(decision.high)


def test_one_server_alone_decides_nothing():
    study = a_text_study()
    assert decided_at_best([study], bests(study)) is None


def test_what_is_compared_stands_in_the_order_of_the_sweep():
    found = figures([a_text_study("a"), a_text_study("b")])
    assert (found[0].situation, found[0].name) == ("cold start", "server ready")
    names = ["requests/s", "tokens/s", "TTFT mean", "TPOT mean", "latency mean"]
    assert [(f.situation, f.name) for f in found[1:6]] == [("concurrency 1", name) for name in names]
    assert found[-1].situation == "concurrency 8"


def test_nobody_is_better_at_a_rate_that_was_asked_for():
    found = figures([at_rates([good(0.5)], **SLO)])
    assert {f.situation for f in found[1:]} == {"rate 0.500 /s"}
    assert {f.name for f in found[1:]} == {"goodput", "TTFT mean", "TPOT mean", "latency mean"}


def test_nothing_has_no_ratio():
    found = figures([a_text_study("a", [[good(1)]], **SLO), a_text_study("b", [[good(1, within=0.0)]], **SLO)])
    assert "goodput" not in {f.name for f in found}
    unknown = figures([a_text_study("a"), a_text_study("b", [[a_text_point(1, tpot=None)]])])
    assert "TPOT mean" not in {f.name for f in unknown}


def test_who_arrives_by_itself_waits_from_when_it_was_due():
    late = Late(ttft=latency_of([0.7] * 700), end_to_end=latency_of([0.9] * 700))
    study = at_rates([a_text_point(1, from_schedule=late)])
    assert TTFT.values(study, 1) == [pytest.approx(0.7)]
    assert TTFT_P99.middle(study, 1) == 0.7
    assert TTFT_P99.middle(study, 2) is None
    assert situation(study, 1) == "rate 1.00 /s"
