"""What changed between two traces: by steps where there are any, with the kernels that account for it."""

from __future__ import annotations

import pytest
from analyses import GEMM, RELU, STEP, a_device, a_use, an_analysis, changed, steps

from pytest_gpuperf.comparison.trace_change import judged, other_cards, trace_change, why
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.records.trace_analysis import KernelTime, Use

STEADY = [3 * STEP, *[STEP] * 9]


def slower(share, *kernels, count=10, **fields):
    """The same program, each step but the first that much slower."""
    device = a_device(top=kernels) if kernels else a_device()
    times = [3 * STEP, *[STEP * (1 + share)] * (count - 1)]
    return an_analysis(device, **({"file": "after.json", "sha256": "f" * 64, "steps": steps(times)} | fields))


BEFORE = an_analysis(steps=steps(STEADY))


def test_the_median_of_steps_is_compared_without_the_first_which_warm_up():
    change = trace_change(BEFORE, slower(0.1))
    assert change.steps == "ProfilerStep"
    assert change.ratio == pytest.approx(1.1)
    assert (change.before.steps, change.before.left_out) == (8, 2)
    assert change.interval == pytest.approx((1.1, 1.1))
    (device,) = change.devices
    assert device.compute.ratio == pytest.approx(1.1)
    assert (device.idle.before, device.idle.after) == pytest.approx((0.03, 0.033))


@pytest.mark.parametrize(("count", "left_out"), [(1, 0), (2, 0), (3, 1), (9, 1), (10, 2), (15, 3), (200, 3)])
def test_how_many_steps_warm_up_depends_on_their_number_alone(count, left_out):
    times = [STEP] * count
    change = trace_change(an_analysis(steps=steps(times)), an_analysis(steps=steps(times)))
    assert (change.before.left_out, change.before.steps) == (left_out, count - left_out)


def test_few_steps_give_no_interval():
    few = an_analysis(steps=steps([STEP] * 6))
    assert trace_change(few, few).interval is None
    enough = an_analysis(steps=steps([STEP] * 7))
    assert trace_change(enough, enough).interval is not None


def test_steps_that_differ_beyond_measure_give_no_interval():
    wild = an_analysis(steps=steps([*[STEP] * 7, *[100 * STEP] * 4]))
    assert trace_change(wild, BEFORE).interval is None


def test_without_steps_the_whole_trace_is_compared():
    before, after = changed(BEFORE, steps=()), an_analysis(a_device(use=a_use(2.0)), steps=())
    change = trace_change(before, after)
    assert (change.steps, change.ratio, change.interval) == (None, 2.0, None)
    assert change.devices[0].compute.before == 0.6


def test_of_several_kinds_of_steps_the_one_that_takes_most_is_compared():
    both = (*steps([0.01] * 20, "tokenise {}"), *steps([STEP] * 8, "step {}"))
    change = trace_change(an_analysis(steps=both), an_analysis(steps=both))
    assert change.steps == "step"
    assert trace_change(an_analysis(steps=both), BEFORE).steps is None, "no kind of step is in both"
    numbers = an_analysis(steps=steps([STEP] * 3, "{}"))
    assert trace_change(numbers, numbers).steps == "step"


def test_a_step_ends_with_the_last_of_its_devices():
    both = {"cuda:0": a_use(1.0), "cuda:1": a_use(2.0)}
    two = an_analysis(a_device(), a_device("cuda:1"), steps=tuple(changed(s, uses=both) for s in steps([STEP] * 3)))
    change = trace_change(two, two)
    assert (change.time.before, len(change.devices)) == (2.0, 2)
    assert change.worst.device == "cuda:0"
    partly = changed(two, steps=steps([STEP] * 3))
    assert trace_change(partly, two).steps is None, "a step without one of the devices is none of both"


def test_idle_by_cause_is_that_of_the_whole_trace_a_step():
    waiting = slower(0.1, count=20)
    (device,) = trace_change(BEFORE, waiting).devices
    assert (device.causes["host"].before, device.causes["host"].after) == pytest.approx((0.02, 0.01))
    only_after = an_analysis(a_device(idle={"dependency": 0.1}), steps=())
    pair = trace_change(an_analysis(a_device(idle={"host": 0.1}), steps=()), only_after).devices[0].causes
    assert (pair["dependency"].before, pair["dependency"].after) == (0, 0.1)
    assert pair["dependency"].ratio is None
    assert "launch" not in pair


def test_the_kernel_that_takes_longer_is_named():
    longer = slower(
        0.1,
        KernelTime(name=GEMM, count=10, seconds=0.6),
        KernelTime(name=RELU, count=20, seconds=0.15),
        devices=(
            a_device(
                use=a_use(1.1, compute=0.7),
                top=(KernelTime(name=GEMM, count=10, seconds=0.6), KernelTime(name=RELU, count=20, seconds=0.15)),
            ),
        ),
    )
    (first, *_) = why(trace_change(BEFORE, longer))
    assert f"one of them slower: {GEMM} (500 ms -> 600 ms, +20.0%)" in first


def test_kernels_that_appeared_and_vanished_are_named():
    kernels = (KernelTime(name=GEMM, count=10, seconds=0.5), KernelTime(name="copy_ fp32", count=10, seconds=0.1))
    change = trace_change(BEFORE, slower(0.1, *kernels, devices=(a_device(kernels=20, top=kernels),)))
    words = {k.name: k.word for k in change.devices[0].explanation.kernels}
    assert words == {GEMM: "same", "copy_ fp32": "appeared", RELU: "vanished"}
    assert "10 copies more: copy_ fp32 x10" in " ".join(why(change))


def test_counts_of_traces_with_other_numbers_of_steps_can_be_compared():
    twice = a_device(
        kernels=60,
        use=a_use(2.0, 1.2),
        top=(KernelTime(name=GEMM, count=20, seconds=1.0), KernelTime(name=RELU, count=40, seconds=0.3)),
    )
    (device,) = trace_change(BEFORE, an_analysis(twice, steps=steps([STEP] * 20))).devices
    assert {k.word for k in device.explanation.kernels} == {"same"}
    assert device.explanation.launches == (60, 60)


def test_kernels_beyond_the_listed_are_not_taken_for_vanished():
    shortened = a_device(kernels=500, top=(KernelTime(name=GEMM, count=10, seconds=0.5),))
    (device,) = trace_change(BEFORE, an_analysis(shortened, steps=steps(STEADY))).devices
    assert RELU not in {k.name for k in device.explanation.kernels if k.word == "vanished"}


def test_the_cause_of_idle_time_that_grew_is_named():
    waiting = an_analysis(
        a_device(idle={"host": 0.4}, use=a_use(1.2)), file="after.json", steps=steps([3 * STEP, *[1.2 * STEP] * 9])
    )
    assert "cuda:0 idle for the cause 'host': 20.0 ms -> 40.0 ms a step" in why(trace_change(BEFORE, waiting))
    whole = trace_change(changed(BEFORE, steps=()), changed(waiting, steps=()))
    assert "cuda:0 idle for the cause 'host': 200 ms -> 400 ms" in why(whole)


def test_where_nothing_tells_no_cause_is_named():
    assert why(trace_change(BEFORE, changed(BEFORE, sha256="1" * 64))) == []
    bare = an_analysis(a_device(idle={}, top=(), kernels=0), steps=())
    assert why(trace_change(bare, bare)) == []


def test_a_trace_of_the_processor_compares_operators():
    processor = an_analysis(a_device("cpu"), steps=())
    assert trace_change(processor, processor).devices[0].explanation.unit == "operator"


@pytest.mark.parametrize(
    ("share", "tolerance", "word"), [(0.1, 0.03, "regressed"), (0.02, 0.03, "unchanged"), (-0.1, 0.03, "unchanged")]
)
def test_the_tolerance_decides(share, tolerance, word):
    for after in (slower(share), slower(share, steps=steps([STEP * (1 + share)] * 4))):
        verdict = judged(trace_change(BEFORE, after), tolerance).verdict
        assert (verdict.word, verdict.tolerance) == (word, tolerance)


def test_steps_that_vary_more_than_the_change_decide_nothing():
    noisy = an_analysis(steps=steps([STEP * (1.05 + 0.1 * (n % 3 - 1)) for n in range(12)]))
    verdict = judged(trace_change(BEFORE, noisy), 0.03).verdict
    assert verdict.word == "inconclusive"
    assert "record more steps" in verdict.reason


def test_one_figure_a_side_is_judged_and_said_to_be_one():
    before = changed(BEFORE, steps=())
    verdict = judged(trace_change(before, an_analysis(a_device(use=a_use(1.1)), steps=())), 0.03).verdict
    assert verdict.word == "regressed"
    assert verdict.reason == ("10.0% slower, and 3% is tolerated; of one figure a side nobody knows how much it varies")


def test_traces_of_no_common_device_cannot_be_compared():
    with pytest.raises(DeviceError, match=r"holds cuda:0, and .* cpu: .*ProfilerActivity.CUDA"):
        trace_change(BEFORE, an_analysis(a_device("cpu")))
    with pytest.raises(DeviceError, match=r"holds no device, and"):
        trace_change(an_analysis(devices=()), BEFORE)


def test_the_only_gpu_of_each_trace_is_compared_whatever_its_number():
    elsewhere = an_analysis(
        a_device("cuda:3"), file="node.json", sha256="f" * 64, steps=steps([1.1 * STEP] * 10, device="cuda:3")
    )
    change = trace_change(BEFORE, elsewhere)
    assert change.ratio == pytest.approx(1.1)
    assert change.notes == (
        "cuda:0 of step.json.gz is compared with cuda:3 of node.json: each is the only one in its trace",
    )
    assert other_cards(BEFORE, an_analysis(a_device("cuda:3", name="Tesla T4"))) == [
        "cuda:3 is NVIDIA L40S in one trace and Tesla T4 in the other: two machines, not two revisions"
    ]
    with pytest.raises(DeviceError, match="holds cuda:0, and"):
        trace_change(BEFORE, an_analysis(a_device("cuda:1"), a_device("cuda:2")))


def test_traces_that_took_no_time_cannot_be_compared():
    nothing = an_analysis(a_device(use=Use(seconds=0.0, compute=0.0, copy=0.0, both=0.0)), steps=())
    for pair in ((nothing, BEFORE), (BEFORE, nothing)):
        with pytest.raises(DeviceError, match="the compared time is 0 s in one of them"):
            trace_change(*pair)


def test_what_makes_a_comparison_weak_is_noted():
    other = an_analysis(
        a_device(name="Tesla T4"),
        a_device("cuda:1"),
        file="after.json",
        sha256="f" * 64,
        tool="Nsight Systems",
        notes=("it ends too early",),
    )
    assert trace_change(BEFORE, other).notes == (
        "after.json: it ends too early",
        "after.json alone holds cuda:1, which is left out",
        "torch.profiler recorded one trace and Nsight Systems the other: they slow a program down differently",
        "cuda:0 is NVIDIA L40S in one trace and Tesla T4 in the other: two machines, not two revisions",
    )
    assert len(other_cards(BEFORE, other)) == 1
    assert trace_change(BEFORE, BEFORE).notes == ("both files have the same content",)
    unknown = an_analysis(a_device(name=None))
    assert other_cards(BEFORE, unknown) == other_cards(unknown, BEFORE) == []
