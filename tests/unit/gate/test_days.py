"""Sessions of one hour are alike: what other days and cards add to a change."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuperf.gate.observations import CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.spread import (
    CARD_SPREAD,
    DAY_SPREAD,
    HOUR,
    ExtraVariance,
    clusters,
    day_variance,
    extra_variance,
)
from pytest_gpuperf.gate.verdicts import judge_suite

DAY = 24 * HOUR


def at(*times: float, card: str | None = None) -> list[Observed]:
    return [Observed(f"s{t}", (1.0,), t, card) for t in times]


def test_sessions_no_more_than_an_hour_apart_are_one_cluster() -> None:
    assert clusters([2 * DAY, 0.0, HOUR, 2 * HOUR]) == [(0.0, 2 * HOUR), (2 * DAY, 2 * DAY)]
    assert clusters([]) == []


def test_until_three_clusters_are_known_another_day_is_believed_to_differ() -> None:
    assert extra_variance(at(0.0, 1.0), at(2.0)) == ExtraVariance()
    assert extra_variance(at(0.0, 1.0), at(DAY)).always == pytest.approx(2 * DAY_SPREAD**2)
    assert extra_variance(at(0.0, DAY), at(2 * DAY)).always == pytest.approx(1.5 * DAY_SPREAD**2)
    assert extra_variance([Observed("s", (1.0,))], at(DAY)) == ExtraVariance()


def test_from_three_clusters_on_the_data_say_how_much_days_differ() -> None:
    nightly = at(0.0, DAY, 2 * DAY)
    assert (
        extra_variance(nightly, at(3 * DAY)).days == 0
    )  # each session had its own day: its variance holds that already
    assert extra_variance(nightly, at(3 * DAY, 3 * DAY + 1)).days == pytest.approx(0.5)
    twice = at(0.0, 1.0, DAY, DAY + 1, 2 * DAY, 2 * DAY + 1)
    assert extra_variance(twice, at(3 * DAY)).days == pytest.approx(1 / 3 - 1 / 6)


def test_a_card_that_was_never_seen() -> None:
    assert extra_variance(at(0.0, card="a"), at(1.0, card="b")).always == CARD_SPREAD**2
    assert extra_variance(at(0.0, card="a"), at(1.0, card="a")) == ExtraVariance()


def drawn(rng: np.random.Generator, days: float, cases: int = 60) -> tuple[np.ndarray, ...]:
    times = np.array([d * DAY + s for d in range(4) for s in range(3)] + [9 * DAY, 9 * DAY + 1])
    figures = rng.normal(0, 0.002, (cases, times.size)) + rng.normal(0, 0.1, (cases, 1))
    figures += rng.normal(0, days, (cases, 5))[:, np.repeat(np.arange(5), [3, 3, 3, 3, 2])]
    baseline = np.tile(times < 9 * DAY, cases)
    return figures.ravel(), np.repeat(np.arange(cases), times.size), np.tile(times, cases), baseline


@pytest.mark.parametrize("days", [0.0, 0.01])
def test_the_variance_between_days_is_told_from_that_within(days: float) -> None:
    found = day_variance(*drawn(np.random.default_rng(0), days))
    assert found == pytest.approx(days**2, rel=0.25, abs=1e-6)


def test_one_cluster_tells_nothing_of_days() -> None:
    alone = np.array([0.0, 1.0, 2.0])
    owner = np.zeros(3, dtype=np.int64)
    assert day_variance(np.array([0.0, 0.1, 0.2]), owner, alone, alone < 3) == 0


def test_days_that_differ_widen_the_interval_of_one_day_more() -> None:
    rng = np.random.default_rng(1)
    times = [d * DAY + s for d in range(3) for s in range(2)]

    def judged(days: float) -> float:
        def case() -> CaseEvidence:
            shifts = np.repeat(rng.normal(0, days, 3), 2)
            level = np.exp(rng.normal(0, 0.001, 9))
            before = [
                Observed(f"b{t}", (x * np.exp(s),) * 16, t) for t, x, s in zip(times, level, shifts, strict=False)
            ]
            now = [Observed(f"c{i}", (x,) * 16, 9 * DAY + i) for i, x in enumerate(level[6:])]
            return CaseEvidence(before, now)

        return judge_suite({str(i): case() for i in range(20)}, None, Policy())["0"].high

    assert judged(0.02) > judged(0.0) + 0.01
