"""The verdict on who did the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from pytest_gpuperf.measure.evidence import Memory, Observations, judge
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.traces.capture import Activity, Capture

GIB = 2**30
KERNELS = Capture((Activity("gemm", 0.0, 0.008), Activity("relu", 0.009, 0.001)), (), (Activity("aten::mm", 0, 0.01),))
HOST_ONLY = Capture((), (), (Activity("aten::mm", 0.0, 0.01),))
NOTHING = Capture((), (), ())


@dataclass(frozen=True)
class Plan:
    """As a back end tells it."""

    operators: Mapping[str, Mapping[str, int]]
    wanted: str = "CUDAExecutionProvider"
    elsewhere: Mapping[str, int] = field(default_factory=dict)


def seen(**more: object) -> Observations:
    given: dict[str, object] = {"expected": "cuda", "seconds": 0.01, "host_share": 0.9, **more}
    return Observations(**given)  # type: ignore[arg-type]


def rating(evidence: Evidence, name: str) -> str:
    return next(w.rating for w in evidence.witnesses if w.name == name)


def test_kernels_prove() -> None:
    evidence = judge(seen(capture=KERNELS, profiler_works=True))
    assert evidence.verdict == "proven"
    (witness,) = evidence.witnesses
    assert witness.figure == "2 kernels, 9.00 ms in all, gaps 1.00 ms; longest: gemm, relu"


def test_a_model_that_runs_on_the_processor_is_contradicted() -> None:
    evidence = judge(
        seen(capture=HOST_ONLY, profiler_works=True, parameters={"cpu": GIB}, outputs={"cpu": 8}, utilizations=(0, 0))
    )
    assert evidence.verdict == "contradicted"
    assert rating(evidence, "kernels") == "contradicts"
    assert rating(evidence, "parameters") == "contradicts"
    assert rating(evidence, "outputs") == "speaks against"
    assert evidence.diagnosis is not None
    assert evidence.diagnosis.startswith("CPU fallback")


@pytest.mark.parametrize(
    ("name", "rating_of_it", "verdict"),
    [
        ("Memcpy DtoD (Device -> Device)", "supports", "proven"),
        ("Memcpy DtoH (Device -> Pageable)", "speaks against", "unknown"),
    ],
)
def test_a_copy_within_the_gpu_is_work_of_the_gpu(name: str, rating_of_it: str, verdict: str) -> None:
    """`tensor.clone()` runs no kernel: seen on an H200."""
    copied = Capture((), (Activity(name, 0.0, 0.001),), (Activity("aten::clone", 0.0, 0.001),))
    evidence = judge(seen(capture=copied, profiler_works=True, outputs={"cuda": GIB}))
    assert (rating(evidence, "kernels"), evidence.verdict) == (rating_of_it, verdict)


def test_an_empty_trace_of_a_blind_profiler_says_nothing() -> None:
    evidence = judge(seen(capture=NOTHING, profiler_works=False))
    assert (evidence.verdict, rating(evidence, "kernels")) == ("unknown", "says nothing")


def test_no_kernel_in_this_process_may_mean_another_one() -> None:
    evidence = judge(seen(capture=NOTHING, profiler_works=True, host_share=0.05))
    assert (evidence.verdict, rating(evidence, "kernels")) == ("unknown", "speaks against")


def test_without_a_profile_two_witnesses_prove_and_one_does_not() -> None:
    """As study S3 had to: memory rose by the parameters' bytes, and power rose; utilisation was 0.9 %."""
    memory = {"parameters": {"cuda": 5 * GIB}, "memory": Memory(held_before=0, held=6 * GIB)}
    power = {"idle_watts": 17.8, "busy_watts": 125.4}
    assert judge(seen(**memory, **power, utilizations=(0, 1))).verdict == "proven"
    assert judge(seen(**power)).verdict == "unknown"
    assert judge(seen(**power, memory=Memory(held_before=0, held=6 * GIB))).verdict == "unknown"
    shown = judge(seen(**power, utilizations=(0, 1)))
    assert [w.figure for w in shown.witnesses][1:] == ["17.8 W idle, 125.4 W at work", "0-1 % in 2 samples"]


def test_utilisation_is_never_decisive() -> None:
    assert judge(seen(utilizations=(100, 100))).verdict == "unknown"
    assert judge(seen(capture=KERNELS, utilizations=(0, 0))).verdict == "proven"


def test_power_that_stays_says_nothing() -> None:
    assert rating(judge(seen(idle_watts=60, busy_watts=63)), "power") == "says nothing"
    assert rating(judge(seen(idle_watts=5, busy_watts=8)), "power") == "says nothing"  # 60 % of very little


def test_memory_rises_by_the_parameters() -> None:
    def memory(**amounts: int) -> tuple[str, str]:
        found = judge(seen(parameters={"cuda": GIB}, memory=Memory(**amounts)))
        return next((w.rating, w.figure) for w in found.witnesses if w.name == "memory")

    assert memory(held_before=GIB // 2, held=2 * GIB)[0] == "supports"
    assert memory(allocated_before=0, peak_allocated=2 * GIB)[0] == "supports"
    assert memory(held_before=3 * GIB, held=3 * GIB, allocated_before=0, peak_allocated=GIB)[0] == "supports"
    assert memory(held=GIB // 2, peak_allocated=GIB // 4)[0] == "speaks against"
    there, figure = memory(held_before=3 * GIB, held=3 * GIB)
    assert there == "says nothing", "study S3 found 89.6 GB resident before its model was loaded"
    assert figure.endswith(
        "3.00 GiB -> 3.00 GiB; parameters need 1.00 GiB, and may have been there before the test began"
    )


def test_parameters_that_are_moved_for_the_call_are_no_contradiction() -> None:
    evidence = judge(seen(capture=KERNELS, parameters={"cpu": GIB, "cuda": 1}))
    assert rating(evidence, "parameters") == "speaks against"
    assert evidence.verdict == "proven"
    assert rating(judge(seen(parameters={"cuda": 0})), "parameters") == "contradicts"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan({"CUDAExecutionProvider": {"Conv": 53}, "CPUExecutionProvider": {"Shape": 2}}), "supports"),
        (
            Plan({"CUDAExecutionProvider": {"Conv": 50}, "CPUExecutionProvider": {"Loop": 3}}, elsewhere={"Loop": 3}),
            "speaks against",
        ),
        (Plan({"CPUExecutionProvider": {"Conv": 53}}, elsewhere={"Conv": 53}), "contradicts"),
        (Plan({"CPUExecutionProvider": {"Conv": 53}}, wanted="CPUExecutionProvider"), "contradicts"),
    ],
)
def test_placement(plan: Plan, expected: str) -> None:
    assert rating(judge(seen(placement=plan)), "placement") == expected


def test_a_placement_that_contradicts_outweighs_a_few_kernels() -> None:
    plan = Plan({"CPUExecutionProvider": {"Conv": 53}}, elsewhere={"Conv": 53})
    assert judge(seen(placement=plan, capture=KERNELS)).verdict == "contradicted"


def test_on_the_processor_its_time_proves() -> None:
    evidence = judge(seen(expected="cpu", parameters={"cpu": 4}, inputs={"cpu": 4}, outputs={"cpu": 4}))
    assert evidence.verdict == "proven"
    assert evidence.witnesses[0].figure == "busy for 90% of a call of 10.0 ms"
    assert evidence.diagnosis is None


def test_on_the_processor_a_tensor_elsewhere_contradicts() -> None:
    assert judge(seen(expected="cpu", outputs={"cuda": 4})).verdict == "contradicted"
    mixed = judge(seen(expected="cpu", parameters={"cpu": 4, "cuda": 8}))
    assert mixed.witnesses[1].figure == "on cpu (4 B), cuda (8 B)"


def test_on_the_processor_waiting_is_unknown() -> None:
    assert judge(seen(expected="cpu", host_share=0.01)).verdict == "unknown"


def test_on_the_processor_a_plan_for_it_supports() -> None:
    plan = Plan({"CPUExecutionProvider": {"Conv": 53}}, wanted="CPUExecutionProvider")
    assert rating(judge(seen(expected="cpu", placement=plan)), "placement") == "supports"
