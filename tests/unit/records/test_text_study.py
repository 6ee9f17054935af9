"""A point of a sweep: what met the limits, and whether the server kept up."""

from __future__ import annotations

import pytest
from loads import a_text_point, a_text_study

from pytest_gpuperf.records.text_study import TextPoint


def test_goodput_is_of_those_that_met_all_limits():
    point = a_text_point(4, 50.0, within=0.9, looked_at=300)
    assert point.goodput == pytest.approx(45.0)
    assert point.met == pytest.approx(0.9)


def test_a_request_that_failed_met_no_limit():
    point = a_text_point(4, 50.0, within=1.0, looked_at=300, errors={"status": 100})
    assert point.met == pytest.approx(300 / 400)
    assert point.goodput == pytest.approx(50.0)
    assert not point.meets_limits


@pytest.mark.parametrize("point", [TextPoint(at=1, failed="refused"), a_text_point(1)])
def test_without_a_load_or_limits_there_is_no_goodput(point):
    assert (point.goodput, point.met, point.meets_limits) == (None, None, False)


@pytest.mark.parametrize(
    ("within", "verdict", "meets"), [(0.99, "stable", True), (0.98, "stable", False), (1.0, "inconclusive", False)]
)
def test_limits_are_met_by_99_percent_under_a_stable_load(within, verdict, meets):
    assert a_text_point(1, within=within, looked_at=300, verdict=verdict).meets_limits == meets


@pytest.mark.parametrize(
    ("verdict", "growth", "behind"),
    [
        ("inconclusive", 0.5, True),
        ("stable", 0.5, False),
        ("inconclusive", 0.001, False),
        ("inconclusive", None, False),
    ],
)
def test_it_falls_behind_where_waiting_grows_and_no_windows_agree(verdict, growth, behind):
    assert a_text_point(4, verdict=verdict, growth=growth).falls_behind == behind
    assert not TextPoint(at=4, failed="refused").falls_behind


def test_it_says_which_device_did_the_work():
    assert not a_text_study().unvalidated
    assert a_text_study(proven=False).unvalidated


def test_a_round_without_a_server_has_no_load_of_any_point():
    study = a_text_study(rounds=[[a_text_point(1)], []])
    assert [point is None for point in study.visits(1)] == [False, True]
    assert [load is None for load in study.loads(1)] == [False, True]
