"""A session's one figure, the steps that it was read in, and Student's t."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuperf.gate.observations import Observed
from pytest_gpuperf.gate.session_cost import SINGLE, locations, tick
from pytest_gpuperf.gate.spread import student


def test_the_least_disturbed_blocks_speak_for_a_session() -> None:
    quiet, disturbed = [1.0] * 16, [1.0] * 3 + [1.5] * 13
    found, _ = locations([Observed("a", quiet), Observed("b", disturbed)])
    assert found == pytest.approx([0.0, 0.0])
    three, _ = locations([Observed("a", [1.0, 1.1, 1.2, *[9.0] * 13])])
    assert three[0] == pytest.approx(np.log([1.0, 1.1, 1.2]).mean())


def test_sessions_of_any_length() -> None:
    found, steps = locations([Observed("a", [2.0]), Observed("b", [3.0, 2.0]), Observed("c", [1.0] * 16)])
    assert found == pytest.approx(np.log([2.0, 2.0, 1.0]))
    assert steps == pytest.approx([SINGLE, np.log(1.5), 0.0])


def row(*figures: float) -> np.ndarray:
    return np.log(np.array([figures]))


def test_the_step_is_seen_within_sessions_or_else_between_them() -> None:
    figures = row(28.0, 28.0, 29.0)
    assert tick(figures, np.array([[0.0, 0.01, 0.02]])) == pytest.approx([0.01])
    assert tick(figures, np.zeros((1, 3))) == pytest.approx([np.log(29 / 28)])
    assert tick(row(28.0, 28.0, 28.0), np.zeros((1, 3))) == [0.0]


def test_what_is_no_step() -> None:
    assert tick(row(1.0, 1.0, 2.0), np.zeros((1, 3))) == [0.0]  # twice as much is a change
    assert tick(row(1.0, 1.0, 1.01), np.full((1, 3), SINGLE)) == [0.0]  # peak memory has no timer


@pytest.mark.parametrize(("freedom", "known"), [(1, 6.314), (4, 2.132), (10, 1.812), (1e9, 1.645)])
def test_students_t(freedom: float, known: float) -> None:
    assert float(student(0.95, freedom)) == pytest.approx(known, abs=1e-3)
