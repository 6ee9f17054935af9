"""What a baseline's sessions can tell, and why it is no less: on drawn sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from drawn_sessions import session
from examples import a_baseline, a_run, a_session

from pytest_gpuperf.comparison.acceptance import accept
from pytest_gpuperf.comparison.resolution import resolutions, worst_first
from pytest_gpuperf.gate.observations import Canaries
from pytest_gpuperf.gate.unsteadiness import Unsteadiness, why_unsteady
from pytest_gpuperf.records.model import Baseline, Series

A, B = "tests/test_x.py::test[a]", "tests/test_x.py::test[b]"
NO_CANARIES: Canaries = {}


def why(
    shifts: Sequence[float],
    canaries: Sequence[float] | None = None,
    *,
    sd: float = 0.002,
    margin: float = 0.05,
    seed: int = 0,
) -> Unsteadiness:
    """Of sessions of 2 ms, each so much slower (as logarithms), as its canaries show."""
    rng = np.random.default_rng(seed)
    sessions = [session(f"s{i}", 2e-3 * np.exp(shift), rng, sd) for i, shift in enumerate(shifts)]
    readings = {
        f"s{i}": {name: [1e-3 * np.exp(shift)] * 4 for name in ("copy", "loop")}
        for i, shift in enumerate(canaries or [0.0] * len(shifts))
    }
    return why_unsteady(sessions, readings, margin)


def test_two_modes_are_named() -> None:
    assert why([0, 0.14, 0, 0, 0.14, 0]) == Unsteadiness("bimodal", "4 sessions near 2.00 ms, 2 near 2.30 ms")


def test_a_drift_is_told_by_its_ends() -> None:
    assert why([0, 0.03, 0.06, 0.09, 0.12, 0.15]) == Unsteadiness(
        "drift", "from 1.99 ms in the first to 2.32 ms in the last of 6 sessions"
    )
    assert why([0.15, 0.12, 0.09, 0.06, 0.03, 0]).kind == "drift"


def test_what_the_canaries_show_too_is_the_machine() -> None:
    moved = [0, 0.2, 0.01, 0.15, 0, 0.05]
    assert why(moved, [m * 0.8 for m in moved]) == Unsteadiness(
        "neighbours",
        "fixed work (the canaries) was up to 17.4% slower in the same sessions: the machine itself was",
    )
    assert why(moved, [0.1, 0, 0.1, 0, 0.1, 0.1]).kind == "noisy"  # canaries that moved the other way explain nothing
    assert why(moved, [m / 10 for m in moved]).kind == "noisy"  # ... nor those that moved by far less


def test_a_session_without_canaries_explains_nothing() -> None:
    rng = np.random.default_rng(0)
    sessions = [session(f"s{i}", 2e-3 * np.exp(s), rng) for i, s in enumerate([0, 0.2, 0.01, 0.15, 0, 0.05])]
    assert why_unsteady(sessions, NO_CANARIES, 0.05).kind == "noisy"


def test_blocks_far_above_the_lowest_are_other_work() -> None:
    found = why([0, 0.02, -0.02, 0.03, 0.01], sd=0.15)
    assert found.kind == "neighbours"
    assert found.text.startswith("in 5 of 5 sessions a quarter of the time was ")
    assert found.text.endswith("slower than its quickest parts: other work disturbed it")


def test_blocks_that_differ_by_far_less_than_sessions_explain_nothing() -> None:
    assert why([0, 0.6, 0.2, 1.0, 0.4], sd=0.05, margin=0.5).kind == "noisy"
    assert why([0, 0.6, 0.2, 1.0, 0.4], sd=0.05, margin=0.05).kind == "neighbours"


def test_sessions_with_no_pattern_differ() -> None:
    assert why([0, 0.06, 0.02, 0.11, 0.04, 0.085]) == Unsteadiness(
        "noisy", "its sessions differ by 11.7%, with no pattern in them"
    )


def test_a_steady_case_is_not_blamed_for_the_others() -> None:
    assert why([0, 0.004, 0.001, 0.003, 0.002]).text == (
        "its own sessions differ by 0.5%, but other cases, or other days, by more"
    )


def test_few_sessions_show_no_pattern() -> None:
    assert why([0, 0.14, 0, 0.14]) == Unsteadiness("few", "4 sessions say little about the next")


@pytest.mark.parametrize("count", [5, 8, 20])
def test_noise_seldom_seems_to_be_anything_else(count: int) -> None:
    rng = np.random.default_rng(1)
    kinds = [why(rng.normal(0, 0.03, count).tolist(), seed=i).kind for i in range(200)]
    assert kinds.count("noisy") > 180


def drawn(levels: Mapping[str, Sequence[float]]) -> Baseline:
    """A baseline of cases with these figures, one a session."""
    kept = a_baseline(*range(len(levels["a"])), cases=tuple(levels))
    cases = (
        msgspec.structs.replace(
            case,
            series=tuple(
                Series(session=f"s{n}", count=16, medians=tuple(x * (1 + i * 1e-4) for i in range(16)))
                for n, x in enumerate(levels[name])
            ),
        )
        for case, name in zip(kept.cases, levels, strict=True)
    )
    return msgspec.structs.replace(kept, cases=tuple(cases))


def test_what_each_case_tells() -> None:
    told = resolutions(drawn({"a": [0.01] * 6, "b": [0.01, 0.0115, 0.01, 0.01, 0.0115, 0.01]}))
    assert (told[A].spread, told[A].margin, told[A].why) == (0.0, 0.03, None)
    spread, margin, because = told[B].spread, told[B].margin, told[B].why
    assert spread == pytest.approx(0.15)
    assert margin is not None
    assert 0.10 < margin < 0.40  # no cap hides how far it is
    assert margin * 1000 == pytest.approx(round(margin * 1000))
    assert because == Unsteadiness("bimodal", "4 sessions near 10.0 ms, 2 near 11.5 ms")
    assert worst_first(told) == [(B, margin, because)]


def test_more_sessions_tell_less() -> None:
    rng = np.random.default_rng(2)
    noise = [0.01 * float(np.exp(rng.normal(0, 0.03))) for _ in range(20)]
    few, many = (resolutions(drawn({"a": noise[:count]}))[A].margin for count in (5, 20))
    assert few is not None
    assert many is not None
    assert many < few


def test_a_case_that_tells_nothing_is_not_said_to_tell_everything() -> None:
    assert resolutions(drawn({"a": [0.01, 1.0, 0.01, 3.0, 0.02]}))[A].margin == 0.999


def test_two_sessions_and_publications_tell_nothing() -> None:
    assert resolutions(drawn({"a": [0.01, 0.011]}))[A].margin is None
    published = msgspec.structs.replace(drawn({"a": [0.01] * 5}), provenance="published")
    assert resolutions(published)[A].margin is None


def test_accepting_keeps_what_the_sessions_can_tell() -> None:
    runs = [a_run(n) for n in range(5)]
    first = accept(None, runs, {}).baseline
    assert first.cases[0].margin == 0.03
    assert accept(None, runs[:2], {}, few=True).baseline.cases[0].margin is None
    # What did not grow keeps its margin, so that a review shows only what changed.
    kept = msgspec.structs.replace(first, cases=(msgspec.structs.replace(first.cases[0], margin=0.08),))
    assert accept(kept, [a_run(5, cases=("b",))], {}, few=True).baseline.cases[0].margin == 0.08
    assert resolutions(kept)[A].margin == 0.08
    assert accept(kept, [a_run(5)], {A: "unchanged"}).baseline.cases[0].margin == 0.03
    assert [s.id for s in kept.sessions] == [a_session(n).id for n in range(5)]
