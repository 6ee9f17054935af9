"""Why, in words: one line for every report, and the table of `gpuperf why`."""

from __future__ import annotations

import msgspec
from examples import a_baseline, a_run
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.causes.explain import NOTHING_KEPT, Cause, Explanation
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.findings import Comparison
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.formats import render_json
from pytest_gpuperf.reports.terminal import explain, render_table
from pytest_gpuperf.reports.why import context, kernel_rows, render_profile, render_why, sentences, why, why_of

LINE = (
    "why: 2 copies more: elementwise copy fp16 (contiguous) x2, 79% of the change; launches 37 -> 39; "
    "idle 100 us -> 100 us; torch unchanged"
)


def compared() -> Comparison:
    run = profiled_run(a_run(6, 7, 8, level=0.012), a_profile(CONVOLUTION, RELU, COPY))
    return compare(run, profiled_baseline(a_baseline(0, 1, 2, 3, 4), a_profile()), name="b.json")


def test_one_line() -> None:
    comparison = compared()
    (finding,) = comparison.findings[:1]
    assert why_of(finding, comparison) == LINE
    assert why_of(msgspec.structs.replace(finding, evidence="energy"), comparison) is None
    assert why_of(msgspec.structs.replace(finding, case="other"), comparison) is None


def test_the_table_and_the_failure_message_say_it() -> None:
    comparison = compared()
    run = profiled_run(a_run(6, 7, 8, level=0.012), None)
    assert LINE in render_table(comparison, run, 400)
    message = explain(comparison.findings[0], comparison, why_of(comparison.findings[0], comparison))
    assert "  why       2 copies more: elementwise copy fp16 (contiguous) x2" in message
    assert "  why " not in explain(comparison.findings[0], comparison)


def test_where_nothing_can_be_known_nothing_is_said() -> None:
    known = compared()
    (case,) = known.explanations
    for explanation, said in (
        (Explanation(missing=NOTHING_KEPT), None),
        (
            Explanation(missing=NOTHING_KEPT, clock=(1.0, 2.0)),
            f"why: {NOTHING_KEPT}; SM clock 1 -> 2 MHz",
        ),
        (Explanation(missing="not known: something could be kept"), "why: not known: something could be kept"),
    ):
        judged = msgspec.structs.replace(known, explanations={case: explanation})
        assert why_of(known.findings[0], judged) == said


def test_json_has_all_of_it() -> None:
    comparison = compared()
    document = msgspec.json.decode(render_json(JudgedRun(run=a_run(6), comparison=comparison)))
    told = document["comparison"]["explanations"]["tests/test_x.py::test[a]"]
    assert told["causes"][0]["kind"] == "copy"
    assert told["launches"] == [37, 39]
    assert {k["word"] for k in told["kernels"]} == {"appeared", "same"}


def test_what_is_missing_takes_the_place_of_a_cause() -> None:
    bare = Explanation(missing="not known: nothing was kept")
    assert why(bare) == "why: not known: nothing was kept", "where torch may not even be there, it is not named"
    cause = Cause(kind="software", sentence="other software: torch 2.13.0 -> 2.15.0")
    software = ("driver 570 -> 595", "torch 2.13.0 -> 2.15.0")
    told = Explanation(causes=(cause,), missing="not known", software=software, clock=(1980.0, 1980.0))
    assert why(told) == "why: other software: torch 2.13.0 -> 2.15.0; SM clock 1,980 -> 1,980 MHz"
    assert context(msgspec.structs.replace(told, causes=()))[0] == "torch 2.13.0 -> 2.15.0"


def test_operators_of_a_host_show_no_gaps() -> None:
    told = Explanation(unit="operator", launches=(3, 3), idle=(1.0, 2.0))
    assert context(told) == ["operators 3 -> 3", "torch unchanged"]


def test_a_share_is_told_where_it_goes_the_way_of_the_change() -> None:
    def said(seconds: float | None, pair: tuple[float, float]) -> str:
        return sentences(Explanation(causes=(Cause(kind="copy", sentence="x", seconds=seconds),), seconds=pair))[0]

    assert said(None, (1.0, 2.0)) == "x"
    assert said(0.5, (1.0, 2.0)) == "x, 50% of the change"
    assert said(0.95, (1.0, 2.0)) == "x, all of the change"
    assert said(-0.5, (1.0, 2.0)) == "x"
    assert said(-0.5, (2.0, 1.0)) == "x, 50% of the change"
    assert said(0.5, (2.0, 2.0)) == "x"


def test_rows_of_kernels() -> None:
    rows = {row[0]: row[1:] for row in kernel_rows(compared().explanations["tests/test_x.py::test[a]"].kernels)}
    assert rows["elementwise copy fp16 (contiguous)"] == ("0 -> 2", "-", "1.60 ms", "-", "appeared")
    assert rows["sm80_xmma_fprop_f16 (conv2d)"] == ("20", "9.00 ms", "9.00 ms", "+0.0%", "same")


def test_the_whole_of_a_case() -> None:
    comparison = compared()
    ((case, explanation),) = comparison.explanations.items()
    text = render_why(case, comparison.findings[:1], explanation, 120)
    assert text.splitlines()[0] == case
    assert "time per call regressed: " in text
    assert " a call (3 sessions); " in " ".join(text.split())
    assert "  1. 2 copies more" in text
    assert "beside it: launches 37 -> 39" in text
    assert "appeared" in text
    assert text.endswith("without being any.")
    bare = render_why(case, (), Explanation(missing="not known: nothing was kept"), 120)
    assert bare.splitlines() == [case, "  not known: nothing was kept"]


def test_what_one_call_ran() -> None:
    text = render_profile("test", a_profile(CONVOLUTION, RELU, launches=50, idle=0.0), 120)
    assert "50 kernels, 9.80 ms in all; idle 1.00 ns; 1.00 MiB of fp16 parameters; threads 2" in text
    assert "sm80_xmma_fprop_f16 (conv2d)" in text
    assert "fp16 8x64x56x56" in text
    assert "92%" in text
    assert text.endswith("and 13 more, each of them shorter")
    nothing = a_profile(msgspec.structs.replace(RELU, seconds=0.0, within=None, inputs={}), busy=0.0)
    assert "more, each" not in render_profile("test", nothing, 120)
