"""Who is better at what: only an interval decides."""

from __future__ import annotations

import math

import msgspec
import pytest
from loads import a_study

from pytest_gpuperf.comparison.serving_winners import decisions, figures, of_situation
from pytest_gpuperf.records.latency import latency_of


def decided(*studies):
    return {(d.figure.situation, d.figure.protocol, d.figure.name): d for d in decisions(figures(studies))}


def test_twice_as_fast_wins():
    found = decided(a_study("slow"), a_study("fast", (0.0025, 0.0026, 0.0024)))
    rate = found["concurrency 16", "binary", "requests/s"]
    assert (rate.best, rate.second, rate.outcome) == ("fast", "slow", "winner")
    assert rate.ratio == pytest.approx(2.0, rel=0.02)
    assert 1.8 < rate.low < 2.0 < rate.high < 2.2
    assert {d.best for d in found.values()} == {"fast"}


def test_one_percent_is_a_tie():
    means = (0.005, 0.00501, 0.00499)
    found = decided(a_study("a", means), a_study("b", tuple(m * 1.01 for m in means)))
    assert {d.outcome for d in found.values()} == {"tie"}


def test_ten_percent_between_noisy_rounds_is_not_decided():
    found = decided(a_study("a", (0.005, 0.007, 0.006)), a_study("b", (0.0066, 0.0055, 0.0068)))
    assert {d.outcome for d in found.values()} == {"not decided"}


def test_one_round_decides_nothing():
    found = decided(a_study("a", (0.005,)), a_study("b", (0.05,)))
    assert {d.outcome for d in found.values()} == {"not decided"}
    assert all(math.isinf(d.high) for d in found.values())


def test_one_back_end_has_nobody_to_compare_with():
    assert decisions(figures([a_study()])) == []


def test_figures_come_in_the_order_people_say_them():
    found = figures([a_study("a"), a_study("b")])
    assert [f.name for f in found[:8]] == [
        "server ready",
        "first answer",
        "mean",
        "p50",
        "p90",
        "p95",
        "p99",
        "images/s",
    ]
    places = list(dict.fromkeys((f.situation, f.protocol) for f in found))
    assert places == [("cold start", "")] + [
        (s, p) for p in ("binary", "json") for s in ("single", "batch 8", "concurrency 16")
    ]


def test_a_percentile_that_a_round_lacks_is_compared_in_the_others():
    study = a_study("a")
    short = [
        msgspec.structs.replace(v, load=msgspec.structs.replace(v.load, latency=latency_of([0.02] * 20)))
        for v in study.rounds[1].visits
    ]
    rounds = (study.rounds[0], msgspec.structs.replace(study.rounds[1], visits=tuple(short)), study.rounds[2])
    lacking = msgspec.structs.replace(study, rounds=rounds)
    found = decided(lacking, a_study("b", (0.01, 0.0102, 0.0098)))
    p99 = found["single", "binary", "p99"]
    assert p99.figure.values["a"][1] is None
    assert p99.ratio == pytest.approx(2.0, rel=0.01)


def test_what_no_round_of_both_has_is_left_out():
    a, b = a_study("a", (0.005, 0.005)), a_study("b", (0.005, 0.005))

    def without(study, number):
        rounds = list(study.rounds)
        rounds[number] = msgspec.structs.replace(rounds[number], server_start=None)
        return msgspec.structs.replace(study, rounds=tuple(rounds))

    assert ("cold start", "", "server ready") not in decided(without(a, 0), without(b, 1))
    assert ("cold start", "", "server ready") not in decided(without(without(a, 0), 1), b)


def test_loads_of_a_situation_are_those_of_all_rounds():
    assert len(of_situation(a_study(), "concurrent")) == 6
