"""The interval of a median is honest: it covers, it is not fooled, and it never claims more than it knows."""

import math

import numpy as np
import pytest

from pytest_gpuperf.gate.median_interval import UNKNOWN, median_half_width


def covered(draw, truth, count, tries=600):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(tries):
        samples = draw(rng, count)
        half = median_half_width(samples) * np.median(samples)
        hits += abs(np.median(samples) - truth) <= half
    return hits / tries


def normal(rng, count):
    return 100 + rng.normal(size=count)


def heavy(rng, count):
    return 100 + rng.standard_t(1.5, size=count)


def correlated(rng, count):
    noise = rng.normal(size=count + 50)
    for i in range(1, count + 50):
        noise[i] += 0.6 * noise[i - 1]
    return 100 + noise[50:]


@pytest.mark.parametrize("count", [3, 5, 6, 10, 24, 60, 200, 1000])
@pytest.mark.parametrize("draw", [normal, heavy])
def test_the_interval_holds_the_median_as_often_as_it_says(draw, count):
    assert covered(draw, 100, count) >= 0.93


@pytest.mark.parametrize("count", [30, 100, 1000])
def test_correlated_samples_count_as_fewer(count):
    assert covered(correlated, 100, count) >= 0.90
    rng = np.random.default_rng(1)
    draws = [correlated(rng, count) for _ in range(40)]
    as_drawn = np.mean([median_half_width(d) for d in draws])
    shuffled = np.mean([median_half_width(rng.permutation(d)) for d in draws])
    assert as_drawn > 1.2 * shuffled


def test_drift_is_not_mistaken_for_knowledge():
    rng = np.random.default_rng(3)
    drifting = np.linspace(100, 110, 320) + rng.normal(size=320)
    shuffled = rng.permutation(drifting)
    assert median_half_width(drifting) > 2 * median_half_width(shuffled)


def test_more_samples_of_the_same_noise_know_more():
    rng = np.random.default_rng(3)
    assert median_half_width(normal(rng, 1600)) < 0.6 * median_half_width(normal(rng, 160))


def test_one_wild_sample_does_not_widen_it():
    rng = np.random.default_rng(5)
    samples = list(normal(rng, 60))
    before = median_half_width(samples)
    samples[7] *= 1000
    assert median_half_width(samples) < 1.2 * before


def test_one_sample_knows_nothing():
    assert median_half_width([0.5]) == UNKNOWN
    assert median_half_width([]) == UNKNOWN


@pytest.mark.parametrize("count", [2, 4, 7, 15, 40, 500])
def test_identical_samples_have_no_width(count):
    assert median_half_width([0.25] * count) == 0


def test_it_is_never_more_than_unknown_and_always_finite():
    assert median_half_width([1e-9, 1e6]) == UNKNOWN
    assert math.isfinite(median_half_width([5e-324, 1e300, 1.0, 2.0, 3.0, 4.0, 5.0]))


def test_a_strictly_alternating_or_persisting_sequence_does_not_divide_by_zero():
    assert 0 < median_half_width([1.0, 2.0] * 8) <= UNKNOWN
    assert 0 < median_half_width([1.0] * 8 + [2.0] * 8) <= UNKNOWN


def test_the_unit_does_not_matter():
    rng = np.random.default_rng(2)
    samples = normal(rng, 333)
    assert median_half_width(samples * 1e-6) == pytest.approx(median_half_width(samples))
