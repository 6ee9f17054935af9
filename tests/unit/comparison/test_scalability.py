"""The Universal Scalability Law: found again where it holds, and not believed where it does not."""

from __future__ import annotations

import pytest

from pytest_gpuperf.comparison.scalability import Scalability, scalability

AT = (1, 2, 4, 8, 16, 32)


def throughput(g, a, b):
    return [g * n / (1 + a * (n - 1) + b * n * (n - 1)) for n in AT]


@pytest.mark.parametrize(
    ("g", "a", "b", "peak"), [(10, 0.1, 0.001, 30), (1000, 0.02, 0.01, 9.9), (0.1, 0.3, 0.02, 5.92)]
)
def test_the_law_is_found_again(g, a, b, peak):
    found = scalability(AT, throughput(g, a, b))
    assert (found.g, found.a, found.b) == pytest.approx((g, a, b), rel=1e-3)
    assert found.fits
    assert found.at(4) == pytest.approx(throughput(g, a, b)[2])
    if found.at(peak) > 1.03 * found.at(32):
        assert found.peak == pytest.approx(peak, rel=0.01)
    else:
        assert found.peak is None


@pytest.mark.parametrize(("g", "a"), [(10, 0.0), (10, 1.0), (10, 0.05)])
def test_throughput_that_never_falls_has_no_peak(g, a):
    assert scalability(AT, throughput(g, a, 0.0)).peak is None


def test_a_law_without_coherence_has_no_peak():
    assert Scalability(10.0, 0.1, 0.0, 0.0, 32.0).peak is None


def test_what_only_falls_is_highest_at_one():
    found = scalability(AT, [10 / n for n in AT])
    assert found.peak is None or found.peak == pytest.approx(1.0, abs=0.5)


def test_figures_that_jump_do_not_fit():
    assert not scalability(AT, [56, 55, 20, 38, 76, 19]).fits


def test_three_concurrencies_are_too_few():
    assert scalability((1, 2, 4, 4, 4), (1, 2, 3, 3, 3)) is None
