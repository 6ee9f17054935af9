"""A run beside a baseline: which of its cases are explained, and from what."""

from __future__ import annotations

import msgspec
import pytest
from examples import a_baseline, a_run
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.causes.explain import NOTHING_KEPT, explanations, unprofiled
from pytest_gpuperf.comparison.compare import compare, moved

CASE = "tests/test_x.py::test[a]"
SLOW = a_profile(CONVOLUTION, RELU, COPY)


def test_a_regressed_case_is_explained_by_what_it_runs() -> None:
    run = profiled_run(a_run(6, 7, 8, level=0.012), SLOW)
    comparison = compare(run, profiled_baseline(a_baseline(0, 1, 2, 3, 4), a_profile()), name="b.json")
    assert moved(comparison.findings) == [CASE]
    explanation = comparison.explanations[CASE]
    assert [c.kind for c in explanation.causes] == ["copy"]
    assert explanation.launches == (37, 39)
    assert explanation.missing is None
    assert explanation.seconds == pytest.approx((0.010005, 0.012024), rel=1e-3)


def test_an_unchanged_case_is_not_explained() -> None:
    run = profiled_run(a_run(6, 7, 8), SLOW)
    comparison = compare(run, profiled_baseline(a_baseline(0, 1, 2, 3, 4), a_profile()), name="b.json")
    assert [f.verdict.word for f in comparison.timed] == ["unchanged"]
    assert comparison.explanations == {}


def test_what_is_missing_is_said() -> None:
    run, baseline = profiled_run(a_run(6, level=0.012), SLOW), a_baseline(0, 1)
    (found,) = explanations(run, baseline, [CASE, "gone"]).values()
    assert "the baseline has no profile of this case (gpuperf calibrate" in str(found.missing)
    (found,) = explanations(a_run(6), profiled_baseline(baseline, SLOW), [CASE]).values()
    assert "this run has no profile of this case (--gpuperf-save" in str(found.missing)
    (found,) = explanations(a_run(6), baseline, [CASE]).values()
    assert found.missing == NOTHING_KEPT


def test_those_that_only_the_baseline_knows_the_kernels_of() -> None:
    baseline = profiled_baseline(a_baseline(0), SLOW)
    assert unprofiled(a_run(6), baseline, [CASE, "gone"]) == {CASE}
    assert unprofiled(a_run(6), baseline, []) == set()
    assert unprofiled(a_run(6), a_baseline(0), [CASE]) == set()
    assert unprofiled(profiled_run(a_run(6), SLOW), baseline, [CASE]) == set()


def test_clocks_of_all_sessions_and_canaries_stand_beside_it() -> None:
    run = profiled_run(a_run(6, 7, level=0.0125, sm_clock=1600), a_profile(*_slower(1.25)))
    baseline = profiled_baseline(a_baseline(0, 1), a_profile())
    cases = tuple(
        msgspec.structs.replace(c, series=tuple(msgspec.structs.replace(s, sm_clock=1980) for s in c.series))
        for c in baseline.cases
    )
    (found,) = explanations(run, msgspec.structs.replace(baseline, cases=cases), [CASE]).values()
    assert found.clock == (1980.0, 1600.0)
    assert [c.kind for c in found.causes] == ["machine"]
    assert "SM clock 1,980 -> 1,600 MHz, -19.2%" in found.causes[0].sentence
    assert "fixed work that runs no code of yours +0.0%" in found.causes[0].sentence


def _slower(factor: float) -> list:
    return [msgspec.structs.replace(k, seconds=k.seconds * factor) for k in (CONVOLUTION, RELU)]
