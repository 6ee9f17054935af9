"""The gate on figures that somebody measured otherwise, by the names that the documentation uses."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from pytest_gpuperf import gate
from pytest_gpuperf.gate import (
    CaseEvidence,
    Launch,
    Observed,
    Policy,
    block_medians,
    judge,
    judge_paired,
    judge_suite,
)


def process(level: float, draw: random.Random) -> list[float]:
    """A process's 400 times."""
    own = level * draw.gauss(1, 0.002)
    return [own * draw.gauss(1, 0.01) for _ in range(400)]


@pytest.mark.parametrize(("ratio", "word"), [(1.0, "unchanged"), (1.2, "regressed")])
def test_times_of_processes_are_all_that_it_takes(ratio: float, word: str) -> None:
    draw = random.Random(1)
    before = [Observed(f"then{n}", block_medians(process(1e-3, draw))) for n in range(5)]
    now = [Observed(f"now{n}", block_medians(process(ratio * 1e-3, draw))) for n in range(3)]
    assert judge(before, now, Policy()).word == word
    assert judge_suite({"mine": CaseEvidence(before, now)}, None, Policy())["mine"].word == word
    rounds = [[[process(r * 1e-3, draw)[:8] for _ in range(12)] for r in (1.0, ratio)] for _ in range(5)]
    assert judge_paired([Launch(a, b) for a, b in rounds], Policy()).word == word


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(gate, name) is not None for name in gate.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'verdict_of'"):
        gate.verdict_of  # noqa: B018 - the access is what is tried


def test_a_session_that_judges_nothing_loads_none_of_it() -> None:
    heavy = {"numpy", "pytest_gpuperf.gate.verdicts"}
    asks = f"import sys, pytest_gpuperf.gate.compaction; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout == "set()\n"
