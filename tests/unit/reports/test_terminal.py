"""What a person reads: the table, what needs attention, and a regressed test's message."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from verdicts import HOSTILE, WAIVER, comparison, finding, in_turns, memory, run_of, verdict, without_interval

from pytest_gpuperf.analysis.findings import Confirmation
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.reports.figures import confirmed, counts
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
    assert lines[0] == "case before now change verdict"
    assert "test_a 800.0 /s 727.3 /s +10.0% [+8.9%, +11.1%] REGRESSED" in lines  # more time, which is less throughput
    assert "test_b 800.0 /s 800.0 /s +0.0% [-1.0%, +1.0%] unchanged within 3%" in lines
    assert "test_c - 798 /s - new" in lines
    assert "test_d - 798 /s - not compared" in lines
    assert lines.count("change: of time per call (or bytes, or joules), + is worse; intervals are 90%") == 1
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
    assert lines[3] == "peak memory 953.7 MiB 1.024 GiB +10.0% [+8.9%, +11.1%] REGRESSED"
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
    assert "+10.0%  REGRESSED" in text


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
        "time per call regressed: tests/test_x.py::test[a b]",
        "  before    800.0 /s (5 sessions)",
        "  now       727.3 /s (3 sessions)",
        "  change    10.0% [8.9%, 11.1%] slower than the baseline (90% interval); the",
        "            tolerance is 3% of throughput",
        "  reason    it is regressed by far",
        "  note      the card throttled",
        "  If the new figure is meant, accept it:",
        "    gpuperf calibrate --sessions 5 --into baselines/t4.json -- 'tests/test_x.py::test[a b]'",
    ]


def test_the_message_of_a_test_that_turns_convicted():
    text = explain(in_turns(A), "baselines/t4.json")
    assert " ".join(text.split()).startswith(
        f"time per call regressed: {A} before 800.0 /s (3f2a91c4d0) now 761.2 /s (7 launches in turns) change 5.4% "
        "slower than the baseline, and 5.1% [4.2%, 6.0%] slower than 3f2a91c4d0 in turns, here, now (90% interval); "
    )
    assert text.split("\n")[-2:] == [
        "  Else find the commit: git bisect, and at each step:",
        f"    gpuperf ab 3f2a91c4d0 -- {A}",
    ]
    alone = explain(msgspec.structs.replace(in_turns(A), screened=None), "b.json")
    assert "  change    5.1% [4.2%, 6.0%] slower than 3f2a91c4d0 in turns, here, now" in alone


def test_the_message_of_a_test_that_fresh_sessions_convicted():
    fresh = finding(A, "regressed", verdict=verdict("regressed", basis="fresh sessions"), screened=verdict(ratio=1.2))
    said = "20.0% slower than the baseline at first, and 10.0% [8.9%, 11.1%] slower in 3 sessions (90% interval);"
    assert said in " ".join(explain(fresh, "b.json").split())


@pytest.mark.parametrize(
    ("word", "headline", "step"),
    [
        ("environment", "is worse with other software", "If the new software is meant, record a new baseline:"),
        ("machine", "is worse on this machine", "No code changed. If the machine is meant to be slower now, record"),
    ],
)
def test_the_message_where_no_code_changed(word, headline, step):
    text = explain(finding(A, word), "b.json")
    assert text.startswith(f"time per call {headline}: {A}\n")
    assert f"  {step}" in text
    assert "gpuperf ab" not in text


@pytest.mark.parametrize("word", ["regressed", "inconclusive", "environment", "machine"])
def test_the_command_line_takes_every_command_that_a_message_gives(word):
    sides = Sides(base="main (1a2b3c4d5e)", head="HEAD", launches=5, seconds=9)
    messages = explain(in_turns(A, word), "b.json"), explain(finding(A, word), "b.json", sides=sides)
    for text in messages:
        commands = [line.strip() for line in text.split("\n") if line.startswith("    gpuperf ")]
        assert commands
        for command in commands:
            assert callable(parse(shlex.split(command)[1:]).run)


def test_the_message_where_inconclusive_fails():
    text = explain(memory(A, "inconclusive", current_sessions=1), "b.json")
    assert text.startswith(f"peak memory inconclusive: {A}")
    assert "953.7 MiB (1 session)" in text
    assert "Record more sessions of the baseline's code:" in text


def test_a_message_obeys_no_name():
    text = explain(finding(HOSTILE[2], "regressed"), "b\x1b.json")
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_confirming_took_is_told():
    record = Confirmation(tests=2, launches=7, seconds=41.2, remarks=("one commit was fetched",))
    judged = comparison(in_turns(A), in_turns(B, "unchanged", 1.001), finding(C), confirmation=record)
    lines = lines_of(render_table(judged, run_of(A, B, C), 200))
    assert lines[-3:-1] == ["confirmed in turns with 3f2a91c4d0: 2 tests, 7 launches, 41 s", "one commit was fetched"]
    assert f"regressed: 5.4% slower than the baseline; it is regressed by far ({A})" in lines
    assert f"unchanged: 5.4% slower than the baseline; it is unchanged by far ({B})" in lines
    assert "test_b 800.0 /s 799.2 /s +0.1% [-0.8%, +1.0%] unchanged within 3.1%" in lines


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (None, []),
        (Confirmation(tests=0, seconds=0), []),
        (Confirmation(tests=0, seconds=0, remarks=("no git here",)), ["no git here"]),
        (Confirmation(tests=1, sessions=2, seconds=4.1), ["measured again: 1 test, 2 fresh sessions, 4.1 s"]),
        (
            Confirmation(tests=3, launches=1, sessions=1, seconds=300),
            ["confirmed in turns: 3 tests, 1 launch, 1 fresh session, 300 s"],
        ),
    ],
)
def test_what_confirming_took_where_it_happened(record, told):
    judged = comparison(finding(A), confirmation=record)
    assert list(confirmed(judged)) == told
    for line in told:
        assert line in render_reference(judged, 200)


def test_the_columns_fit_where_names_are_short():
    lines = render_table(comparison(finding(A)), run_of(A), 80).split("\n")
    assert all(display_width(line) <= 80 for line in lines)
    assert sum("test_a" in line for line in lines) == 1


def test_two_revisions_have_their_names_above_their_figures():
    sides = Sides(base="main (1a2b3c4d5e)", head="HEAD", launches=5, seconds=9)
    judged = comparison(finding(B), finding(A, "regressed"), memory(B, "improved"), sides=sides)
    lines = lines_of(render_table(judged, run_of(), 120))
    assert lines[0] == "case main (1a2b3c4d5e) HEAD change verdict"
    assert lines[2].startswith("test_b 800.0 /s 800.0 /s +0.0%")
    assert lines[3].startswith("peak memory 953.7 MiB 858.3 MiB")
    assert "  base      800.0 /s (main (1a2b3c4d5e))" in explain(finding(A, "regressed"), "main", sides=sides)


def test_what_has_moved_since_a_pinned_reference():
    reference = comparison(finding(A, "regressed"), finding(B), memory(A, "improved"), baseline="v1.json")
    assert lines_of(render_reference(reference, 120)) == [
        "Since the reference v1.json: 1 unchanged, 1 regressed; 2 of 2 decided",
        "case reference now change verdict",
        f"{A} 800.0 /s 727.3 /s +10.0% [+8.9%, +11.1%] REGRESSED",
        f"{A} peak memory 953.7 MiB 858.3 MiB -10.0% [-10.9%, -9.1%] improved",
    ]
    calm = comparison(finding(B), baseline="v1.json")
    assert render_reference(calm, 80) == "Since the reference v1.json: 1 unchanged; 1 of 1 decided"


def test_a_rate_of_energy_has_its_unit():
    energy = explain(finding(A, "regressed", metric="energy"), "b.json")
    assert energy.startswith(f"energy per item regressed: {A}")
    assert "before    0.5000 J/item" in energy
    assert "10.0% [8.9%, 11.1%] more energy than the baseline" in energy
    assert "now       11.00 ms" in explain(finding(A, "regressed", metric="device_time"), "b.json")
