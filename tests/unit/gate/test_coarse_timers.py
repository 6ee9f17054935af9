"""Reading a timer between its steps."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuperf.gate.session_cost import change_between_steps, coarse_step

STEP = 0.5


def ticked(level: float, sd: float = 0.084, count: int = 96) -> np.ndarray:
    """Samples of a quiet kernel, rounded to the timer's step."""
    return np.round(np.random.default_rng(0).normal(level, sd, count) / STEP) * STEP


def test_the_step_is_the_smallest_gap_where_samples_are_ties() -> None:
    assert coarse_step(np.array([14.0, 14.5, 15.5, *[14.0] * 20])) == 0.5
    assert coarse_step(np.full(20, 14.0)) == 0
    assert coarse_step(np.random.default_rng(0).normal(14, 1, 96)) == 0
    assert coarse_step(np.array([14.0, 14.0 + 1e-9, *[14.0] * 20])) == 0  # the same figure, kept with six digits


@pytest.mark.parametrize("change", [0.0, 0.01, 0.02, 0.03, 0.05, 0.2])
@pytest.mark.parametrize("level", [13.8, 14.0, 14.2])
def test_changes_below_a_step_are_read(level: float, change: float) -> None:
    read = change_between_steps(ticked(level), ticked(level * (1 + change)), STEP)
    assert read == pytest.approx(np.log1p(change), abs=0.009)  # a quarter of the step's 3.6 %


def test_both_sides_swapped_give_the_opposite_change() -> None:
    a, b = ticked(14.1), ticked(14.4)
    assert change_between_steps(a, b, STEP) == pytest.approx(-change_between_steps(b, a, STEP))


def test_interrupts_do_not_move_it() -> None:
    late = ticked(14.0)
    late[:5] += 40
    assert change_between_steps(ticked(14.0), late, STEP) == pytest.approx(0, abs=0.004)
