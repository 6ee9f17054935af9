"""What a baseline becomes when runs are accepted."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from examples import DEVICE, ENVIRONMENT, a_baseline, a_measurement, a_run, a_session
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.comparison.acceptance import Acceptance, accept
from pytest_gpuperf.errors import DeviceError, UsageError
from pytest_gpuperf.records.model import KERNELS_KEPT, Baseline, Environment, Profile, Run, Waiver, Word

A, B = "tests/test_x.py::test[a]", "tests/test_x.py::test[b]"
UNCHANGED: Mapping[str, Word] = {A: "unchanged", B: "unchanged"}


def kept(baseline: Baseline) -> dict[str, list[str]]:
    """The sessions of each case."""
    return {c.id: [s.session for s in c.series] for c in baseline.cases}


def actions(acceptance: Acceptance) -> dict[str, str]:
    return {c.case: c.action for c in acceptance.changes}


def headers(baseline: Baseline) -> list[str]:
    return [s.id for s in baseline.sessions]


def five_runs(first: int = 0, **changes: object) -> list[Run]:
    return [a_run(n, **changes) for n in range(first, first + 5)]


def test_the_first_baseline_is_made_of_five_sessions() -> None:
    accepted = accept(None, five_runs()[::-1], {})
    assert kept(accepted.baseline) == {A: ["s0", "s1", "s2", "s3", "s4"]}
    assert headers(accepted.baseline) == ["s0", "s1", "s2", "s3", "s4"]
    assert accepted.baseline.provenance == "measured"
    assert accepted.baseline.environment == ENVIRONMENT
    case = accepted.baseline.cases[0]
    assert (case.test, case.items, case.clock) == (A, 8, "cuda-event")
    series = case.series[0]
    assert (series.count, len(series.medians), series.peak_memory, series.energy) == (32, 16, 2**30, None)
    assert series.medians == pytest.approx([0.01] * 16, rel=0.005)
    (change,) = accepted.changes
    assert (change.action, change.old, change.sessions_before, change.sessions_after) == ("new", None, 0, 5)
    assert change.new == pytest.approx(0.01, rel=0.005)


def test_a_run_of_several_sessions_counts_each() -> None:
    assert kept(accept(None, [a_run(0, 1, 2), a_run(3, 4)], {}).baseline) == {A: ["s0", "s1", "s2", "s3", "s4"]}


def test_too_few_sessions_of_a_new_case_are_refused_unless_asked_for() -> None:
    with pytest.raises(UsageError) as caught:
        accept(None, [a_run(0, 1, cases=("a", "b"))], {})
    message = str(caught.value)
    assert "2 new or changed cases have fewer than 5 new sessions" in message
    assert f"\n  {A}: 2\n  {B}: 2\n" in message
    assert "gpuperf calibrate --sessions 5 --into" in message
    assert "--few" in message
    assert kept(accept(None, [a_run(0)], {}, few=True).baseline) == {A: ["s0"]}


def test_a_long_list_of_short_cases_is_cut() -> None:
    with pytest.raises(UsageError, match="\n  and 3 more\n"):
        accept(None, [a_run(0, cases=tuple("abcdefghijklm"))], {})


def test_an_unchanged_case_gets_the_new_sessions() -> None:
    accepted = accept(a_baseline(0, 1, 2, 3, 4), [a_run(5, cases=("a", "b"))], UNCHANGED)
    assert kept(accepted.baseline) == {A: ["s0", "s1", "s2", "s3", "s4", "s5"], B: ["s0", "s1", "s2", "s3", "s4", "s5"]}
    assert actions(accepted) == {A: "added", B: "added"}
    assert [(c.sessions_before, c.sessions_after) for c in accepted.changes] == [(5, 6), (5, 6)]


def test_the_last_twenty_sessions_are_kept_and_headers_nobody_uses_go() -> None:
    old = a_baseline(*range(20))
    accepted = accept(old, [a_run(20, 21, cases=("a", "b"))], UNCHANGED)
    assert kept(accepted.baseline)[A] == [f"s{n}" for n in range(2, 22)]
    assert headers(accepted.baseline) == [f"s{n}" for n in range(2, 22)]
    # a case that was not measured still uses the old ones
    accepted = accept(old, [a_run(20, 21)], UNCHANGED)
    assert headers(accepted.baseline) == [f"s{n}" for n in range(22)]
    assert actions(accepted) == {A: "added", B: "kept"}


def test_a_session_older_than_all_that_are_kept_changes_nothing() -> None:
    old = a_baseline(*range(1, 21), cases=("a",))
    accepted = accept(old, [a_run(0)], UNCHANGED)
    assert accepted.baseline == old
    assert actions(accepted) == {A: "kept"}
    assert accepted.changes[0].why == "since the sessions are older than the 20 that are kept"


@pytest.mark.parametrize("word", ["regressed", "improved"])
def test_a_changed_case_is_replaced(word: Word) -> None:
    old = a_baseline(*range(5))
    accepted = accept(old, five_runs(5, level=0.02), {A: word, B: "unchanged"})
    assert kept(accepted.baseline) == {A: [f"s{n}" for n in range(5, 10)], B: [f"s{n}" for n in range(5)]}
    change = accepted.changes[0]
    assert (change.action, change.sessions_before, change.sessions_after) == ("replaced", 5, 5)
    assert change.old == pytest.approx(0.01, rel=0.01)
    assert change.new == pytest.approx(0.02, rel=0.01)


def test_a_changed_case_is_not_replaced_by_a_few_sessions_unless_asked_for() -> None:
    old = a_baseline(*range(5))
    with pytest.raises(UsageError, match="1 new or changed cases have fewer than 5 new sessions"):
        accept(old, [a_run(5, cases=("a", "b"))], {A: "regressed", B: "unchanged"})
    accepted = accept(old, [a_run(5, cases=("a", "b"))], {A: "regressed", B: "unchanged"}, few=True)
    assert kept(accepted.baseline)[A] == ["s5"]
    assert len(kept(accepted.baseline)[B]) == 6


def test_sessions_that_are_known_do_not_count_as_new() -> None:
    with pytest.raises(UsageError, match=f"{A}: 4".replace("[", r"\[")):
        accept(a_baseline(*range(5)), five_runs(4), {A: "regressed"})


@pytest.mark.parametrize("verdicts", [{}, {A: "inconclusive"}])
def test_an_inconclusive_case_moves_only_by_as_many_sessions_as_a_replacement_needs(
    verdicts: Mapping[str, Word],
) -> None:
    old = a_baseline(*range(5), cases=("a",))
    accepted = accept(old, [a_run(5)], verdicts)
    assert accepted.baseline == old
    assert actions(accepted) == {A: "kept"}
    for runs, few in ((five_runs(5), False), ([a_run(5)], True)):
        accepted = accept(old, runs, verdicts, few=few)
        assert actions(accepted) == {A: "added"}
        assert kept(accepted.baseline)[A][:5] == ["s0", "s1", "s2", "s3", "s4"]
    # a baseline too young to decide anything can grow by one
    assert kept(accept(a_baseline(0, cases=("a",)), [a_run(5)], verdicts).baseline) == {A: ["s0", "s5"]}


def test_accepting_the_same_run_twice_changes_nothing() -> None:
    run = a_run(5, cases=("a", "b"))
    once = accept(a_baseline(*range(5)), [run], UNCHANGED).baseline
    for verdicts in (UNCHANGED, {A: "regressed"}, {}):
        twice = accept(once, [run, run], verdicts)
        assert twice.baseline == once
        assert actions(twice) == {A: "kept", B: "kept"}


def test_a_session_in_two_runs_counts_once() -> None:
    assert kept(accept(None, [a_run(0), a_run(0)], {}, few=True).baseline) == {A: ["s0"]}


def test_a_case_that_counts_other_items_is_replaced_whatever_its_verdict() -> None:
    accepted = accept(a_baseline(*range(5), cases=("a",)), five_runs(5, items=16), UNCHANGED)
    assert actions(accepted) == {A: "replaced"}
    assert accepted.baseline.cases[0].items == 16
    accepted = accept(a_baseline(*range(5), cases=("a",)), five_runs(5, clock="host"), UNCHANGED)
    assert actions(accepted) == {A: "replaced"}


def test_sessions_that_count_otherwise_than_the_newest_are_left_out() -> None:
    runs = [a_run(0, items=1), *five_runs(1)]
    assert kept(accept(None, runs, {}).baseline) == {A: ["s1", "s2", "s3", "s4", "s5"]}


def test_vanished_cases_stay_until_they_are_pruned() -> None:
    old = a_baseline(*range(5), cases=("a", "b", "c"))
    run = a_run(5)
    assert actions(accept(old, [run], UNCHANGED)) == {A: "added", B: "kept", B.replace("b]", "c]"): "kept"}
    accepted = accept(old, [run], UNCHANGED, prune=[B, A])  # what was measured has not vanished
    assert list(kept(accepted.baseline)) == [A, B.replace("b]", "c]")]
    pruned = accepted.changes[1]
    assert (pruned.case, pruned.action, pruned.new, pruned.sessions_after) == (B, "pruned", None, 0)
    assert pruned.old == pytest.approx(0.01, rel=0.01)


def test_measured_figures_take_the_place_of_all_published_ones() -> None:
    published = msgspec.structs.replace(a_baseline(0), provenance="published", source="https://example.org")
    accepted = accept(published, [a_run(*range(5), cases=("a", "c"))], {A: "reference"})
    assert accepted.baseline.provenance == "measured"
    assert accepted.baseline.source is None
    assert actions(accepted) == {A: "replaced", B: "pruned", "tests/test_x.py::test[c]": "new"}
    assert kept(accepted.baseline)[A] == ["s0", "s1", "s2", "s3", "s4"]  # s0 anew: the published one is no session
    with pytest.raises(UsageError, match="fewer than 5"):
        accept(published, [a_run(1)], {A: "reference"})


def test_a_waiver_ends_with_the_figure_it_excused() -> None:
    waiver = Waiver(until="2027-01-01", reason="known")
    old = a_baseline(*range(5), cases=("a",))
    old = msgspec.structs.replace(old, cases=(msgspec.structs.replace(old.cases[0], waiver=waiver),))
    assert accept(old, [a_run(5)], UNCHANGED).baseline.cases[0].waiver == waiver
    assert accept(old, [a_run(5)], {}).baseline.cases[0].waiver == waiver
    assert accept(old, five_runs(5), {A: "regressed"}).baseline.cases[0].waiver is None


def test_the_environment_is_the_newest_runs_where_something_was_taken() -> None:
    newer = Environment(device=DEVICE, software={"torch": "2.16.0"})
    older, newest = a_run(6), msgspec.structs.replace(a_run(7), environment=newer)
    old = a_baseline(*range(5), cases=("a",))
    assert accept(old, [newest, older], UNCHANGED).baseline.environment == newer
    assert accept(old, [newest, older], {A: "inconclusive"}).baseline.environment == ENVIRONMENT


def test_another_device_is_refused() -> None:
    other = msgspec.structs.replace(DEVICE, name="NVIDIA L4")
    run = msgspec.structs.replace(a_run(5), environment=Environment(device=other))
    with pytest.raises(DeviceError) as caught:
        accept(a_baseline(0), [run], UNCHANGED)
    assert caught.value.exit_code == 4
    assert "The baseline was measured on another device than a run to accept: name Tesla T4, here NVIDIA L4" in str(
        caught.value
    )
    assert "gpuperf calibrate --into baselines/l4.json" in str(caught.value)
    with pytest.raises(DeviceError, match="The first run was measured on another device"):
        accept(None, [a_run(0), run], {}, few=True)


@pytest.mark.parametrize("runs", [[], [a_run(0, cases=())]])
def test_nothing_to_accept_is_an_error(runs: list[Run]) -> None:
    with pytest.raises(UsageError, match="There is nothing to accept"):
        accept(a_baseline(0), runs, {})


def test_memory_and_energy_are_kept() -> None:
    run = a_run(0)
    measured = a_measurement(0, energy=0.25, peak_memory=7)
    run = msgspec.structs.replace(run, cases=(msgspec.structs.replace(run.cases[0], measurements=(measured,)),))
    series = accept(None, [run], {}, few=True).baseline.cases[0].series[0]
    assert (series.energy, series.peak_memory) == (0.25, 7)
    assert accept(None, [run], {}, few=True).baseline.sessions == (a_session(0),)


OLD = a_profile()
MANY = tuple(msgspec.structs.replace(RELU, name=f"k{i}") for i in range(KERNELS_KEPT))


def accepted_profile(old: Profile | None, new: Profile | None) -> Profile | None:
    """What an unchanged case has after a session was added."""
    baseline = profiled_baseline(a_baseline(0, 1, 2, 3, 4, cases=("a",)), old)
    accepted = accept(baseline, [profiled_run(a_run(5), new)], UNCHANGED)
    assert actions(accepted) == {A: "added"}
    return accepted.baseline.cases[0].profile


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OLD, None),
        (OLD, a_profile(session="s5", busy=2e-2, idle=5e-3)),  # other times are no other work
        (a_profile(*MANY, launches=1000), a_profile(*MANY[:-1], RELU, launches=1000)),  # which short ones: chance
    ],
)
def test_while_the_same_kernels_run_the_profile_that_was_kept_stays(old: Profile, new: Profile | None) -> None:
    assert accepted_profile(old, new) == old


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, a_profile(session="s5")),
        (OLD, a_profile(CONVOLUTION, RELU, COPY, session="s5")),
        (OLD, a_profile(unit="operator", session="s5")),
        (OLD, a_profile(settings={"threads": "4"}, session="s5")),
        (OLD, a_profile(parameters={"fp32": 2**21}, session="s5")),
        (OLD, a_profile(msgspec.structs.replace(CONVOLUTION, inputs={"fp32": 20}), RELU, session="s5")),
        (a_profile(*MANY, launches=1000), a_profile(COPY, *MANY[1:], launches=1000)),  # one of the longest
    ],
)
def test_other_kernels_or_settings_are_kept_in_place_of_the_old_ones(old: Profile | None, new: Profile) -> None:
    assert accepted_profile(old, new) == new
