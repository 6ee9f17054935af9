"""What one level gains over another, within one run or baseline."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from examples import ENVIRONMENT, a_baseline, a_measurement, a_session

from pytest_gpuperf.comparison.ratios import Ratio, Ratios, ratios
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.files import read_baseline
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Run, Series

T4 = Path(__file__).parents[3] / "baselines" / "t4.json"


def a_case(level: float = 0.01, name: str = "", test: str = "test", **parameters: str) -> Case:
    node = f"tests/test_x.py::{test}[{'-'.join(parameters.values())}]"
    return Case(id=node + name, test=node, parameters=parameters, measurements=(a_measurement(0, level),))


def of(*cases: Case) -> Run:
    return Run(environment=ENVIRONMENT, sessions=(a_session(0), a_session(1)), cases=cases)


def changed(case: Case, **changes: object) -> Case:
    return msgspec.structs.replace(case, measurements=(a_measurement(0, **changes),))


def only(found: Ratios) -> Ratio:
    """The one level beside the reference."""
    (group,) = found.groups
    reference, ratio = group.ratios
    assert (reference.speedup, reference.latency_change, reference.memory_change) == (None, None, None)
    return ratio


def by_model(found: Ratios, level: str) -> dict[str, Ratio]:
    return {g.parameters["model"]: r for g in found.groups for r in g.ratios if r.level == level and r.reference}


def test_the_published_ratios_come_out_of_the_published_table():
    table = read_baseline(T4)
    half = by_model(ratios(table, "precision"), "autocast_fp16")
    assert f"{half['resnet50'].latency_change:+.1%}" == "-53.3%"
    assert f"{half['resnet50'].speedup:.2f}x" == "2.14x"
    assert f"{half['resnet50'].memory_change:+.1%}" == "-18.5%"
    assert f"{half['vit_b_16'].latency_change:+.1%}" == "-76.4%"
    assert f"{half['vit_b_16'].speedup:.2f}x" == "4.24x"
    assert f"{half['vit_b_16'].memory_change:+.1%}" == "+11.9%"  # half the precision, and more memory
    assert {f"{r.latency_change:+.0%}" for r in by_model(ratios(table, "backend"), "torchscript").values()} == {"-25%"}


def test_a_level_is_held_against_the_reference_of_the_same_other_parameters():
    run = of(
        a_case(0.004, precision="fp16", batch="1"),
        a_case(0.010, precision="fp32", batch="1"),
        a_case(0.020, precision="fp32", batch="8"),
        a_case(0.010, precision="fp16", batch="8"),
    )
    found = ratios(run, "precision")
    assert (found.over, found.reference, found.without, found.source) == ("precision", "fp32", (), None)
    assert [dict(g.parameters) for g in found.groups] == [{"batch": "1"}, {"batch": "8"}]
    assert [[r.level for r in g.ratios] for g in found.groups] == [["fp32", "fp16"], ["fp32", "fp16"]]
    assert [round(g.ratios[1].speedup, 3) for g in found.groups] == [2.5, 2.0]


def test_two_tests_and_two_measurements_of_one_test_are_not_held_against_each_other():
    run = of(
        a_case(precision="fp32"),
        a_case(precision="fp16", test="test_other"),
        a_case(precision="fp16", name="#prefill"),
        a_case(precision="fp16", name="#decode"),
    )
    found = ratios(run, "precision")
    assert [g.function for g in found.groups] == [
        "tests/test_x.py::test",
        "tests/test_x.py::test_other",
        "tests/test_x.py::test#prefill",
        "tests/test_x.py::test#decode",
    ]
    assert not [r for g in found.groups for r in g.ratios if r.reference]


@pytest.mark.parametrize(
    ("over", "levels", "asked", "reference"),
    [
        ("precision", ("bf16", "fp32"), None, "fp32"),
        ("backend", ("compile", "eager"), None, "eager"),
        ("batch", ("8", "32", "16"), None, "8"),
        ("batch", ("8", "32", "16"), "32", "32"),
        ("fused", ("True", "False"), "False", "False"),
    ],
)
def test_which_level_the_others_are_held_against(over, levels, asked, reference):
    found = ratios(of(*(a_case(**{over: level}) for level in levels)), over, asked)
    assert found.reference == reference
    assert found.groups[0].ratios[0].level == reference


@pytest.mark.parametrize(
    ("over", "levels", "asked", "message"),
    [
        ("batch", ("1",), None, "--over precision: no case has a parameter of that name"),
        ("precision", ("fp16",), "fp32", "--reference fp32: no case has it. The levels of precision: fp16."),
        ("precision", ("tf32", "bf16"), None, "--reference LEVEL, one of: tf32, bf16."),
        ("precision", ("nan", "1"), None, "--reference LEVEL, one of: nan, 1."),
    ],
)
def test_what_cannot_be_answered_says_what_to_type(over, levels, asked, message):
    with pytest.raises(UsageError) as caught:
        ratios(of(*(a_case(**{over: level}) for level in levels)), "precision", asked)
    assert message in str(caught.value)


def test_the_parameters_of_a_file_are_listed_where_the_asked_one_is_missing():
    with pytest.raises(UsageError, match="The parameters of this file: batch, model"):
        ratios(of(a_case(model="a", batch="1")), "precision")
    with pytest.raises(UsageError, match="The parameters of this file: none"):
        ratios(of(a_case()), "precision")


def test_cases_without_the_parameter_are_named():
    found = ratios(of(a_case(precision="fp32"), a_case(batch="1")), "precision")
    assert found.without == ("tests/test_x.py::test[1]",)


def test_cases_that_no_parameter_tells_apart_are_named_and_not_mixed():
    first, second = (
        msgspec.structs.replace(
            a_case(precision="fp32"), id=f"tests/test_x.py::test[{i}]", test=f"tests/test_x.py::test[{i}]"
        )
        for i in "ab"
    )
    found = ratios(of(first, second, a_case(precision="fp16", batch="1")), "precision", "fp32")
    assert found.alike == (first.id, second.id)
    assert [g.parameters for g in found.groups] == [{"batch": "1"}]


def test_the_middle_of_the_sessions_counts():
    slow = a_case(precision="fp32")
    twice = msgspec.structs.replace(slow, measurements=(a_measurement(0, 0.01), a_measurement(1, 0.03)))
    ratio = only(ratios(of(twice, a_case(0.01, precision="fp16")), "precision"))
    assert ratio.reference.time == pytest.approx(0.02, rel=0.01)
    assert ratio.latency_change == pytest.approx(-0.5, rel=0.01)


def test_a_session_that_counted_other_items_is_left_out():
    mixed = msgspec.structs.replace(
        a_case(precision="fp32"), measurements=(a_measurement(0, 0.5, items=1), a_measurement(1, 0.01))
    )
    assert only(ratios(of(mixed, a_case(precision="fp16")), "precision")).speedup == pytest.approx(1.0)


def test_times_of_two_clocks_are_never_mixed():
    eager = changed(a_case(precision="fp32"), walls=(0.02,))
    host = changed(a_case(precision="fp16"), level=0.005, clock="host")
    ratio = only(ratios(of(eager, host), "precision"))
    assert ratio.latency_change is None
    assert ratio.speedup == pytest.approx(4.0, rel=0.01)  # both throughputs are by the host's clock
    without_walls = only(ratios(of(a_case(precision="fp32"), host), "precision"))
    assert without_walls.speedup is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"peak_memory": None}, {}),
        ({}, {"peak_memory": None}),
        ({"peak_memory": 0}, {}),
        ({"memory_source": "RSS"}, {"memory_source": "torch allocator"}),
    ],
)
def test_memory_that_was_not_measured_the_same_way_has_no_ratio(before, after):
    run = of(changed(a_case(precision="fp32"), **before), changed(a_case(precision="fp16"), **after))
    assert only(ratios(run, "precision")).memory_change is None


def test_a_baseline_without_memory():
    series = (Series(session="s0", count=32, medians=(0.01,)),)
    cases = tuple(
        Accepted(
            id=f"x.py::test[{p}]",
            test=f"x.py::test[{p}]",
            parameters={"precision": p},
            items=8,
            clock="host",
            series=series,
        )
        for p in ("fp32", "fp16")
    )
    kept: Baseline = msgspec.structs.replace(a_baseline(0), cases=cases)
    ratio = only(ratios(kept, "precision"))
    assert (ratio.memory_change, ratio.speedup) == (None, 1.0)
