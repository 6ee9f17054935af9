"""A run beside a baseline: what is judged, what is missing, and why a session fails."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from pytest_gpuperf.comparison.compare import compare, suspects_in
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.comparison.match import covers, match, merged, policy_of, stated
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    Measurement,
    Rule,
    Run,
    Scope,
    Series,
    Session,
    Waiver,
)

CPU = Environment(device=Device(kind="cpu", name="Laptop", memory=16 * 2**30, cores=8), software={"torch": "2.13.0"})
GPU = Environment(device=Device(kind="cuda", name="Tesla T4", memory=15 * 2**30, capability="7.5"))
TODAY = date(2026, 6, 1)
CANARIES = {"matmul": (1e-3, 1e-3)}


def jitter(index: int, cycle: int = 7) -> float:
    """A deterministic unevenness of +-0.3 %."""
    return 1 + 0.001 * ((index * 3) % cycle - cycle // 2)


def measurement(seconds: float, session: str = "now", **more: object) -> Measurement:
    samples = tuple(seconds * jitter(i) for i in range(96))
    fields = {
        "session": session,
        "items": 4,
        "clock": "host",
        "blocks": (samples[:48], samples[48:]),
        "span_calls": 1,
        "ended": "steady",
        "interval": 0.002,
    }
    return Measurement(**(fields | more))


def case(test: str, *seconds: float, rule: Rule | None = None, **more: object) -> Case:
    sessions = ["now", "again", "third"]
    return Case(
        id=test,
        test=test,
        line=3,
        rule=rule or Rule(),
        measurements=tuple(measurement(s, n, **more) for s, n in zip(seconds, sessions, strict=False)),
    )


def run(*cases: Case, environment: Environment = CPU, **scope: object) -> Run:
    names = dict.fromkeys(m.session for c in cases for m in c.measurements) or {"now": None}
    return Run(
        environment=environment,
        sessions=tuple(Session(id=n, time="2026-05-31T12:00:00Z", canaries=CANARIES) for n in names),
        scope=Scope(**({"paths": (".",)} | scope)),
        cases=cases,
    )


def accepted(test: str, seconds: float, *, waiver: Waiver | None = None, **more: object) -> Accepted:
    series = tuple(
        Series(
            session=f"base{n}",
            count=96,
            medians=tuple(seconds * jitter(n, 5) * jitter(i) for i in range(16)),
            **more,
        )
        for n in range(5)
    )
    return Accepted(id=test, test=test, items=4, clock="host", series=series, waiver=waiver)


def baseline(*cases: Accepted, environment: Environment = CPU, **more: object) -> Baseline:
    return Baseline(
        **({"provenance": "measured"} | more),
        environment=environment,
        sessions=tuple(Session(id=f"base{n}", time=f"2026-05-0{n + 1}T12:00:00Z", canaries=CANARIES) for n in range(5)),
        cases=cases,
    )


def judged(current: Run, known: Baseline, **options: object):
    return compare(current, known, name="base.json", today=TODAY, **options)


def words(comparison) -> dict[str, str]:
    return {f.case: f.verdict.word for f in comparison.findings}


A, B, C = "t/test_a.py::test_a", "t/test_b.py::test_b", "t/sub/test_c.py::test_c[x]"


def test_each_case_gets_its_verdict_and_figures():
    current = run(case(A, 1e-3, 1e-3, 1e-3), case(B, 2e-3, 2e-3, 2e-3), case(C, 0.5e-3, 0.5e-3, 0.5e-3))
    comparison = judged(current, baseline(accepted(A, 1e-3), accepted(B, 1e-3), accepted(C, 1e-3)))
    assert words(comparison) == {A: "unchanged", B: "regressed", C: "improved"}
    finding = {f.case: f for f in comparison.findings}[B]
    assert finding.metric == "throughput"
    assert finding.baseline == pytest.approx(4 / 1e-3, rel=0.01)
    assert finding.current == pytest.approx(4 / 2e-3, rel=0.01)
    assert (finding.baseline_sessions, finding.current_sessions, finding.line) == (5, 3, 3)
    assert comparison.exit_code == 1
    assert comparison.problems[0].startswith("1 of 3 compared figures regressed")
    assert comparison.decided == 3


def test_a_suspect_is_named_from_one_session():
    current = run(case(A, 1e-3), case(B, 2e-3))
    assert suspects_in(current, baseline(accepted(A, 1e-3), accepted(B, 1e-3)))["time"] == {B}


def test_nothing_in_common_is_nothing_compared():
    comparison = judged(run(case(A, 1e-3), deselected=(B,)), baseline(accepted(B, 1e-3)))
    assert comparison.new == (A,)
    assert comparison.exit_code == 6
    assert not any(suspects_in(run(case(A, 1e-3)), baseline(accepted(B, 1e-3))).values())


def test_too_little_decided_is_exit_7_and_the_share_can_be_chosen():
    current = run(case(A, 1e-3, ended="cap", interval=0.2))
    comparison = judged(current, baseline(accepted(A, 1e-3)))
    assert words(comparison) == {A: "inconclusive"}
    assert "cap" in comparison.findings[0].verdict.reason
    assert comparison.exit_code == 7
    assert judged(current, baseline(accepted(A, 1e-3)), rules=Rules(min_decided=0)).exit_code == 0
    assert judged(current, baseline(accepted(A, 1e-3)), rules=Rules(strict=True)).exit_code == 1


def test_a_cap_that_is_nearly_steady_may_be_judged():
    current = run(case(A, *[1e-3] * 3, ended="cap", interval=0.011))
    assert words(judged(current, baseline(accepted(A, 1e-3)))) == {A: "unchanged"}


def test_a_cap_does_not_acquit_what_became_twice_as_slow():
    current = run(case(A, *[2e-3] * 3, ended="cap", interval=0.2))
    assert words(judged(current, baseline(accepted(A, 1e-3)))) == {A: "regressed"}


def test_a_cap_hides_an_improvement_only_where_it_is_no_larger_than_what_is_unknown():
    for interval, word in ((0.2, "improved"), (0.6, "inconclusive")):
        current = run(case(A, *[0.5e-3] * 3, ended="cap", interval=interval))
        assert words(judged(current, baseline(accepted(A, 1e-3)))) == {A: word}


def test_vanished_and_unmeasured_fail_unless_allowed():
    known = baseline(accepted(A, 1e-3), accepted(B, 1e-3), accepted(C, 1e-3))
    current = run(case(A, *[1e-3] * 3), unmeasured={B: "skipped: no reason"})
    comparison = judged(current, known)
    assert comparison.vanished == (C,)
    assert comparison.unmeasured == {B: "skipped: no reason"}
    assert comparison.exit_code == 1
    assert len(comparison.problems) == 2
    assert judged(current, known, rules=Rules(allow_missing=True)).exit_code == 0


@pytest.mark.parametrize("change", [{"items": 8}, {"clock": "cuda-event"}])
def test_another_measurement_under_the_same_name_is_not_compared(change):
    comparison = judged(run(case(A, 1e-3, **change)), baseline(accepted(A, 1e-3)))
    assert comparison.findings == ()
    assert "so it is not compared: accept it anew" in comparison.unmeasured[A]


def test_of_a_case_only_the_sessions_that_measured_the_same_are_compared():
    mixed = msgspec.structs.replace(
        case(A, 1e-3), measurements=(measurement(1e-3), measurement(3e-4, "again", clock="cuda-event"))
    )
    (finding,) = judged(run(mixed), baseline(accepted(A, 1e-3))).findings
    assert (finding.verdict.word, finding.current_sessions) == ("unchanged", 1)
    (note,) = finding.notes
    assert note.startswith("some sessions of this run are left out: one is timed by the cuda-event clock, its baseline")


def test_a_suite_that_looks_far_faster_but_is_not_proven_to_be_is_not_unchanged():
    names = [f"{A}[{i}]" for i in range(6)]
    loud = [1.0, 1.3, 0.8, 1.2, 0.85]
    known = baseline(*(accepted(n, 1e-3) for n in names))
    wild = msgspec.structs.replace(
        known,
        cases=tuple(
            msgspec.structs.replace(
                a,
                series=tuple(
                    msgspec.structs.replace(s, medians=tuple(m * by for m in s.medians))
                    for s, by in zip(a.series, loud, strict=True)
                ),
            )
            for a in known.cases
        ),
    )
    found = judged(run(*(case(n, 3e-4) for n in names)), wild)
    assert found.suite is not None
    assert found.suite.ratio < 0.5
    assert found.suite.word == "inconclusive"


def test_a_waiver_tolerates_until_its_day_and_fails_after_it():
    slow = run(case(A, *[2e-3] * 3))
    waived = judged(slow, baseline(accepted(A, 1e-3, waiver=Waiver(until="2026-06-01", reason="known"))))
    assert waived.exit_code == 0
    assert waived.findings[0].waiver is not None
    expired = judged(slow, baseline(accepted(A, 1e-3, waiver=Waiver(until="2026-05-31", reason="known"))))
    assert expired.exit_code == 1
    assert list(expired.expired) == [A]
    mended = run(case(A, *[1e-3] * 3))
    assert judged(mended, baseline(accepted(A, 1e-3, waiver=Waiver(until="2026-05-31", reason="x")))).exit_code == 1


def test_another_device_is_refused():
    with pytest.raises(DeviceError, match=r"base\.json was measured on another device"):
        judged(run(case(A, 1e-3)), baseline(accepted(A, 1e-3), environment=GPU))


def test_soft_changes_are_shown():
    newer = msgspec.structs.replace(CPU, software={"torch": "2.15.0"})
    comparison = judged(run(case(A, *[1e-3] * 3), environment=newer), baseline(accepted(A, 1e-3)))
    assert comparison.changes == ("torch 2.13.0 -> 2.15.0",)


def test_a_publication_is_a_reference_and_decides_only_what_is_gross():
    known = baseline(accepted(A, 1e-3), accepted(B, 1e-3), provenance="published", source="a paper")
    comparison = judged(run(case(A, 1.1e-3), case(B, 1.5e-3)), known)
    assert words(comparison) == {A: "reference", B: "regressed"}
    assert comparison.decided == 2


def test_what_a_publication_says_of_memory_is_shown_and_fails_nobody():
    known = [accepted(A, 1e-3, peak_memory=100 * 2**20)]
    paper = baseline(*known, provenance="published", source="a paper", environment=GPU)
    comparison = judged(run(case(A, 1e-3, peak_memory=200 * 2**20), environment=GPU), paper)
    shown = comparison.findings[1]
    assert (shown.evidence, shown.verdict.word, shown.verdict.ratio) == ("peak_memory", "reference", 2)
    assert shown.verdict.reason == "2.00 times the memory of a published figure, which is shown and not judged"
    assert comparison.exit_code == 0


def test_beside_a_publication_nothing_is_measured_again():
    paper = baseline(accepted(A, 1e-3), provenance="published", source="a paper")
    wide = case(A, 1e-3)
    (only,) = wide.measurements
    capped = msgspec.structs.replace(only, ended="cap", interval=0.2)
    wide = msgspec.structs.replace(wide, measurements=(capped,))
    assert suspects_in(run(wide), paper)["time"] == set()
    assert suspects_in(run(wide), baseline(accepted(A, 1e-3)))["time"] == {A}


def test_memory_is_judged_on_a_gpu_and_where_a_test_asks_for_it():
    more = {"peak_memory": 200 * 2**20}
    known = [accepted(A, 1e-3, peak_memory=100 * 2**20)]
    on_gpu = judged(run(case(A, *[1e-3] * 3, **more), environment=GPU), baseline(*known, environment=GPU))
    assert [(f.evidence, f.verdict.word) for f in on_gpu.findings] == [
        ("time", "unchanged"),
        ("peak_memory", "regressed"),
    ]
    assert on_gpu.findings[1].current == pytest.approx(200 * 2**20)
    assert on_gpu.exit_code == 1
    assert len(judged(run(case(A, *[1e-3] * 3, **more)), baseline(*known)).findings) == 1
    asked = case(A, *[1e-3] * 3, rule=Rule(tolerance={"peak_memory": 0.05}), **more)
    assert len(judged(run(asked), baseline(*known)).findings) == 2


def test_sessions_in_another_state_leave_every_figure_open_and_the_accepted_one_shown():
    known = [accepted(A, 1e-3, peak_memory=100 * 2**20)]
    hot = case(A, *[1.5e-3] * 3, state="thermal slow-down", peak_memory=200 * 2**20)
    comparison = judged(run(hot, environment=GPU), baseline(*known, environment=GPU))
    assert [(f.evidence, f.verdict.word) for f in comparison.findings] == [
        ("time", "inconclusive"),
        ("peak_memory", "inconclusive"),
    ]
    time, memory = comparison.findings
    assert time.baseline == time.current == pytest.approx(4 / 1e-3, rel=0.01)
    assert memory.baseline == memory.current == 100 * 2**20


def test_energy_is_judged_where_both_have_it():
    known = baseline(accepted(A, 1e-3, energy=1.0))
    comparison = judged(run(case(A, *[1e-3] * 3, energy=1.5)), known)
    assert comparison.findings[1].evidence == "energy"
    assert comparison.findings[1].verdict.word == "regressed"
    assert comparison.findings[1].current == 1.5


def test_a_command_lines_tolerance_replaces_the_tests():
    rule = Rule(tolerance={"throughput": 0.02, "peak_memory": 0.1}, margin=0.05)
    assert merged(rule, Rule(tolerance={"latency": 0.5})).tolerance == {"peak_memory": 0.1, "latency": 0.5}
    assert merged(rule, Rule()).margin == 0.05
    assert merged(rule, Rule(margin=0.2)).margin == 0.2
    tolerant = judged(
        run(case(A, *[1.2e-3] * 3)), baseline(accepted(A, 1e-3)), override=Rule(tolerance={"latency": 0.5})
    )
    assert words(tolerant)[A] != "regressed"


def test_a_margin_that_is_given_is_kept_and_a_cap_is_how_far_it_may_go():
    assert policy_of(Rule(), "time").margins == (0.03, 0.1)
    assert policy_of(Rule(margin_cap=0.15), "time").margins == (0.03, 0.15)
    assert policy_of(Rule(margin=0.05, margin_cap=0.15), "time").margins == (0.05, 0.05)
    assert merged(Rule(margin_cap=0.2), Rule()).margin_cap == 0.2
    assert merged(Rule(margin_cap=0.2), Rule(margin_cap=0.15)).margin_cap == 0.15


def test_a_rule_is_shown_in_the_metric_it_names():
    assert stated(Rule(), "time") == ("throughput", 0.01)
    assert stated(Rule(tolerance={"device_time": 0.04}), "time") == ("device_time", 0.04)
    assert stated(Rule(tolerance={"latency": 0.25}), "time") == ("throughput", pytest.approx(0.2))
    finding = judged(
        run(case(A, 1e-3, rule=Rule(tolerance={"device_time": 0.04}))), baseline(accepted(A, 1e-3))
    ).findings[0]
    assert finding.metric == "device_time"
    assert finding.current == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"paths": (".",)}, True),
        ({"paths": ("t",)}, True),
        ({"paths": ("t/",)}, True),
        ({"paths": ("t/test_a.py",)}, True),
        ({"paths": ("t/test_b.py", "other")}, False),
        ({"paths": ("t/test",)}, False),
        ({"paths": ()}, False),
        ({"paths": (".",), "deselected": (A,)}, False),
        ({"paths": (".",), "ignored": ("t",)}, False),
        ({"paths": (".",), "ignored": ("u",)}, True),
    ],
)
def test_only_what_was_asked_for_can_vanish(scope, covered):
    assert covers(Scope(**scope), A) is covered


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, {"matmul", "copy", "loop"}),
        ({"torch": "2.15.0"}, {"matmul", "copy", "loop"}),  # no canary of a processor runs on it
        ({"numpy": "3.0.0"}, {"loop"}),
        ({"python": "3.14.0"}, {"matmul", "copy"}),
    ],
)
def test_a_canary_that_runs_on_other_versions_now_is_no_witness(changed, kept):
    software = {"python": "3.12.0", "numpy": "2.0.0", "torch": "2.13.0"}
    then, now = (msgspec.structs.replace(CPU, software=s) for s in (software, software | changed))
    readings = dict.fromkeys(("matmul", "copy", "loop"), (1e-3, 1e-3))
    sessions = (Session(id="now", time="2026-05-31T12:00:00Z", canaries=readings),)
    this_run = msgspec.structs.replace(run(case(A, 1e-3), environment=now), sessions=sessions)
    known = msgspec.structs.replace(baseline(accepted(A, 1e-3)), environment=then)
    assert set(match(this_run, known, Rule()).canaries["now"]) == kept


def test_on_a_gpu_canaries_run_on_torch_and_the_driver():
    now = msgspec.structs.replace(GPU, software={"driver": "580.1"})
    then = msgspec.structs.replace(GPU, software={"driver": "570.1"})
    known = msgspec.structs.replace(baseline(accepted(A, 1e-3)), environment=then)
    assert match(run(case(A, 1e-3), environment=now), known, Rule()).canaries["now"] == {}


def test_a_suite_that_regressed_as_a_whole_is_a_problem_of_its_own():
    names = [f"tests/test_all.py::test_{i}" for i in range(8)]
    known = baseline(*(accepted(n, 1e-3) for n in names))
    comparison = judged(run(*(case(n, *[1.2e-3] * 3) for n in names)), known)
    assert comparison.suite.word == "regressed"
    assert any("The suite as a whole regressed" in problem for problem in comparison.problems)
    assert comparison.exit_code == 1


def test_too_little_decided_says_what_to_type_next():
    known = baseline(accepted(A, 1e-3), accepted(B, 1e-3))
    none = judged(run(case(A, 1e-3, ended="cap", interval=0.2)), baseline(accepted(A, 1e-3)))
    assert none.problems == (
        "0 of 1 compared cases got a verdict; at least 80% must. Each inconclusive case says what would decide it.",
    )
    assert "give it longer with --gpuperf-budget" in none.findings[0].verdict.reason
    some = judged(run(case(A, 1e-3, ended="cap", interval=0.2), case(B, 1e-3)), known)
    assert some.problems[0].startswith("1 of 2 compared cases got a verdict; ")
    assert (none.exit_code, some.exit_code) == (7, 7)


def spreading(test: str, step: float) -> Accepted:
    """A case whose every session is slower than the one before."""
    known = accepted(test, 1e-3)
    series = (
        msgspec.structs.replace(s, medians=tuple(m * (1 + step * n) for m in s.medians))
        for n, s in enumerate(known.series)
    )
    return msgspec.structs.replace(known, series=tuple(series))


def test_too_little_decided_names_the_case_of_which_least_is_known():
    known = baseline(spreading(A, 0.1), spreading(B, 0.3))
    comparison = judged(run(case(A, 1.25e-3), case(B, 1.7e-3)), known)
    assert words(comparison) == {A: "inconclusive", B: "inconclusive"}
    (problem,) = comparison.problems
    assert f"Least is known of {B}: no change below " in problem
