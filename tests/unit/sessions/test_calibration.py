"""When a calibration ends: every case tells enough, more sessions stop helping, or there is no time for another."""

from __future__ import annotations

from math import inf

import pytest

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.sessions.calibration import CalibrationPlan, calibrate, is_steady

CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.1", "-p", "no:cacheprovider")
SUITE = """
from pathlib import Path

import torch

def test_product(gpuperf):
    number = len(list(Path().glob("session-*")))
    assert number < 2
    Path(f"session-{number}").touch()
    gpuperf(torch.mm, torch.ones(8, 8), torch.ones(8, 8))
"""
USUAL = CalibrationPlan(5, 12, 0.03)


def ended(plan, *told, elapsed=100.0, longest=10.0):
    return plan.ended(told, elapsed, longest)


def test_it_goes_on_to_the_least():
    assert ended(USUAL, inf, inf, 0.03, 0.03) is None
    assert ended(USUAL, inf, inf, 0.03, 0.03, 0.03) == "told"


def test_it_goes_on_while_more_sessions_help():
    told = (inf, inf, 0.12, 0.10, 0.09, 0.08)
    assert ended(USUAL, *told) is None
    assert ended(USUAL, *told, 0.078, 0.077) is None
    assert ended(USUAL, *told, 0.078, 0.077, 0.076) == "steady"


def test_a_session_that_made_it_worse_is_not_the_end():
    assert ended(USUAL, inf, inf, 0.04, 0.04, 0.04, 0.09) is None


def test_what_nothing_is_known_of_is_not_steady():
    assert not is_steady([inf] * 8)
    assert not is_steady([0.05] * 3)
    assert is_steady([0.05] * 4)


def test_it_ends_at_the_most():
    told = [0.2 * 0.8**n for n in range(8)]
    assert ended(CalibrationPlan(5, 9), *told) is None
    assert ended(CalibrationPlan(5, 8), *told) == "most"
    assert ended(CalibrationPlan(8, 8, 0.9), *told[:7]) is None


def test_no_session_is_begun_that_would_end_too_late():
    plan, told = CalibrationPlan(5, 20, 0.03, seconds=115.0), (inf, inf, 0.2, 0.15, 0.1)
    assert ended(plan, *told) is None
    assert ended(plan, *told, longest=20.0) == "time"
    assert ended(plan, *told[:4], longest=20.0) is None  # as many as a baseline needs it gets


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    return tmp_path


def test_every_session_is_a_process_of_its_own_and_one_that_fails_ends_it(folder):
    seen = []
    done = calibrate(
        CalibrationPlan(3, 3),
        CPU,
        worst=lambda runs: 0.1 / len(runs),
        directory=folder,
        progress=lambda count, seconds, worst: seen.append((count, seconds > 0, worst)),
    )
    assert len({run.sessions[0].id for run in done.runs}) == 2
    assert [run.cases[0].profile is not None for run in done.runs] == [True, False]
    assert seen == [(1, True, 0.1), (2, True, 0.05)]
    assert isinstance(done.ended, SessionError)
    assert done.seconds > 0
