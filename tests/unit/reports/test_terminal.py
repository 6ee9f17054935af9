"""What a person reads: the table, what needs attention, and a regressed test's message."""

from __future__ import annotations

import msgspec
import pytest
from verdicts import HOSTILE, WAIVER, comparison, finding, memory, run_of, without_interval

from pytest_gpuperf.reports.figures import counts
from pytest_gpuperf.reports.tables import display_width
from pytest_gpuperf.reports.terminal import explain, render_reference, render_table
from pytest_gpuperf.results.records import Verdict

A, B, C, D = (f"tests/test_x.py::test_{n}" for n in "abcd")


def lines_of(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_figures_alone_without_a_baseline():
    lines = lines_of(render_table(None, run_of(A, B, latencies=(0.012,) * 11), 80))
    assert lines == [
        "case throughput latency p50",
        "tests/test_x.py",
        "test_a 798 /s 12.0 ms",
        "test_b 798 /s 12.0 ms",
    ]


def test_a_percentile_of_too_few_calls_is_not_shown():
    assert "798 /s -" in lines_of(render_table(None, run_of(A, latencies=(0.012,) * 10), 80))[2]
    assert "798 /s -" in lines_of(render_table(None, run_of(A), 80))[2]


def test_each_case_with_its_change_and_verdict():
    judged = comparison(finding(A, "regressed"), finding(B), new=(C,))
    lines = lines_of(render_table(judged, run_of(A, B, C, D), 80))
    assert lines[0] == "case throughput latency p50 change verdict"
    assert "test_a 798 /s - -9.1% [-10.0%, -8.2%] REGRESSED" in lines  # less throughput, not more time
    assert "test_b 798 /s - +0.0% [-1.0%, +1.0%] unchanged" in lines
    assert "test_c 798 /s - - new" in lines
    assert "test_d 798 /s - - not compared" in lines
    assert "regressed: it is regressed by far (tests/test_x.py::test_a)" in lines
    assert "1 new: baselines/t4.json does not know it, so nothing was judged." in lines
    assert lines[-1] == "1 unchanged, 1 regressed, 1 new; 2 of 2 decided"


def test_an_empty_run_still_says_what_is_missing():
    judged = comparison(vanished=(A,), unmeasured={B: "skipped: no <GPU>"}, new=())
    assert lines_of(render_table(judged, run_of(), 80)) == [
        f"vanished: {A}",
        f"not measured: {B} (skipped: no <GPU>)",
        "",
        "1 vanished, 1 not measured; 0 of 0 decided",
    ]
    assert render_table(None, run_of(), 80) == ""
    assert counts(comparison()) == "no cases; 0 of 0 decided"


def test_another_figure_stands_below_its_case_unless_unchanged():
    judged = comparison(memory(A, "regressed"), finding(A), finding(B), memory(B, "unchanged"))
    lines = lines_of(render_table(judged, run_of(A, B), 100))
    assert lines[2].startswith("test_a")
    assert lines[3] == "peak memory 1.02 GiB +10.0% [+8.9%, +11.1%] REGRESSED"
    assert sum("peak memory" in line for line in lines) == 1


def test_another_figure_of_a_case_that_is_no_node_id():
    lines = lines_of(render_table(comparison(finding("odd"), memory("odd", "improved")), run_of("odd"), 100))
    assert lines[2].startswith("peak memory")


def test_a_waiver_is_shown_and_does_not_shout():
    judged = comparison(finding(A, "regressed", waiver=WAIVER), expired={B: WAIVER})
    text = render_table(judged, run_of(A), 200)
    assert "REGRESSED" not in text
    assert f"waived until 2031-01-31: {A} (the <new> kernel | known)" in text
    assert f"waiver ended on 2031-01-31: {B}" in text
    assert "1 waived; 1 of 1 decided" in text


def test_a_reason_that_many_share_is_said_once():
    cases = [f"t.py::test[{i}]" for i in range(5)]
    text = render_table(comparison(*(finding(c, "inconclusive") for c in cases)), run_of(*cases), 200)
    said = "inconclusive: it is inconclusive by far (t.py::test[0], t.py::test[1], t.py::test[2] and 2 more)"
    assert said in text
    assert "5 inconclusive; 0 of 5 decided" in text


def test_notes_the_suite_and_the_environment_are_told():
    suite = Verdict(word="regressed", ratio=1.1, low=1.05, high=1.2, reason="all 2 cases are 10% slower")
    judged = comparison(finding(A), suite=suite, changes=("torch 2.13.0 -> 2.15.0",), new=(B, C))
    text = render_table(judged, run_of(A, B, notes=("the card throttled",)), 200)
    assert f"note: the card throttled ({A}, {B})" in text
    assert "changed: torch 2.13.0 -> 2.15.0" in text
    assert "suite regressed: all 2 cases are 10% slower" in text
    assert "2 new: baselines/t4.json does not know them" in text


def test_no_interval_where_there_is_none():
    text = render_table(
        comparison(without_interval(finding(A, "regressed")), without_interval(memory(A, "regressed"))), run_of(A), 80
    )
    assert "[" not in text
    assert "-9.1%  REGRESSED" in text


@pytest.mark.parametrize("width", [80, 120])
def test_hostile_names_change_nothing(width):
    judged = comparison(*(finding(c, "regressed", waiver=WAIVER) for c in HOSTILE))
    text = render_table(judged, run_of(*HOSTILE), width)
    assert all(line.isprintable() for line in text.split("\n"))
    head = text.split("\n\n")[0].split("\n")
    assert all(display_width(line) <= width for line in head)
    assert len({display_width(line) for line in head if line.endswith("waived")}) == 1


def test_the_message_of_a_regressed_test():
    found = finding("tests/test_x.py::test[a b]", "regressed", notes=("the card throttled",))
    assert explain(found, "baselines/t4.json").split("\n") == [
        "throughput regressed: tests/test_x.py::test[a b]",
        "  baseline  800 /s (5 sessions)",
        "  current   727 /s (3 sessions)",
        "  change    -9.1% [-10.0%, -8.2%]; the tolerance is 3.00%",
        "  reason    it is regressed by far",
        "  note      the card throttled",
        "  If the new figure is meant, accept it:",
        "    gpuperf calibrate --sessions 5 --into baselines/t4.json -- 'tests/test_x.py::test[a b]'",
    ]


def test_the_message_where_inconclusive_fails():
    text = explain(memory(A, "inconclusive", current_sessions=1), "b.json")
    assert text.startswith(f"peak memory inconclusive: {A}")
    assert "1.02 GiB (1 session)" in text
    assert "Record more sessions of the baseline's code:" in text


def test_a_message_obeys_no_name():
    text = explain(finding(HOSTILE[2], "regressed"), "b\x1b.json")
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_has_moved_since_a_pinned_reference():
    reference = comparison(finding(A, "regressed"), finding(B), memory(A, "improved"), baseline="v1.json")
    assert lines_of(render_reference(reference, 120)) == [
        "Since the reference v1.json: 1 unchanged, 1 regressed; 2 of 2 decided",
        "case reference current change verdict",
        f"{A} 800 /s 727 /s -9.1% [-10.0%, -8.2%] REGRESSED",
        f"{A} peak memory 954 MiB 1.02 GiB -10.0% [-10.9%, -9.1%] improved",
    ]
    calm = comparison(finding(B), baseline="v1.json")
    assert render_reference(calm, 80) == "Since the reference v1.json: 1 unchanged; 1 of 1 decided"


def test_a_rate_of_energy_has_its_unit():
    energy = finding(A, "regressed", evidence="energy", metric="energy", baseline=0.5, current=0.55)
    assert "baseline  0.500 J/item" in explain(energy, "b.json")
    time = msgspec.structs.replace(energy, metric="device_time")
    assert "current   550 ms" in explain(time, "b.json")
