"""What a person reads: the table, what needs attention, and a regressed test's message."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from verdicts import HOSTILE, WAIVER, a_verdict, comparison, finding, in_turns, memory, run_of, without_interval

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.comparison.findings import Rules, Sides
from pytest_gpuperf.records.model import Confirmation, Verdict
from pytest_gpuperf.reports.figures import counts, short
from pytest_gpuperf.reports.tables import display_width
from pytest_gpuperf.reports.terminal import explain, render_reference, render_table

A, B, C, D = (f"tests/test_x.py::test_{n}" for n in "abcd")


def told(found, baseline="baselines/t4.json", **more):
    return explain(found, comparison(found, baseline=baseline, **more))


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
    assert "test_a 10.00 ms 11.00 ms +10.0% [+8.9%, +11.1%] REGRESSED" in lines
    assert "test_b 10.00 ms 10.00 ms +0.0% [-1.0%, +1.0%] unchanged" in lines
    assert "test_c - 10.02 ms - new" in lines
    assert "test_d - 10.02 ms - not compared" in lines
    assert lines.count("intervals: 90%") == 1
    assert "regressed: it is regressed by far (test_a)" in lines
    assert "1 new: not in baselines/t4.json, so nothing was judged of it." in lines
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
    said = "inconclusive: it is inconclusive by far (test[0], test[1], test[2] and 2 more)"
    assert said in text
    assert "5 inconclusive; 0 of 5 decided" in text


def test_notes_the_suite_and_the_environment_are_told():
    suite = Verdict(word="regressed", ratio=1.1, low=1.05, high=1.2, reason="all 2 cases are 10% slower")
    judged = comparison(finding(A), suite=suite, changes=("torch 2.13.0 -> 2.15.0",), new=(B, C))
    text = render_table(judged, run_of(A, B, notes=("the card throttled",)), 200)
    assert "note: the card throttled (test_a, test_b)" in text
    assert "changed: torch 2.13.0 -> 2.15.0" in text
    assert "suite regressed, +10.0% [+5.0%, +20.0%]: all 2 cases are 10% slower" in text
    assert "2 new: not in baselines/t4.json, so nothing was judged of them" in text


def test_unchanged_says_within_what():
    found = (finding(A, verdict=a_verdict("unchanged", margin=m)) for m in (0.048, 0.03))
    text = render_table(comparison(*found), run_of(A), 100)
    assert "unchanged within 4.8%" in text
    whole = a_verdict("unchanged", margin=0.03)
    suite = render_table(comparison(finding(A), suite=whole), run_of(A), 100)
    assert "suite unchanged within 3%, +0.0% [-1.0%, +1.0%]: it is unchanged by far" in suite


def test_what_no_code_changed_is_loud_only_where_it_fails():
    given = finding(A, "environment"), finding(B, "machine")
    lines = lines_of(render_table(comparison(*given), run_of(A, B), 100))
    assert "test_a 10.00 ms 11.00 ms +10.0% [+8.9%, +11.1%] ENVIRONMENT" in lines
    assert "test_b 10.00 ms 11.00 ms +10.0% [+8.9%, +11.1%] machine" in lines
    assert lines[-1] == "1 environment, 1 machine; 2 of 2 decided"
    strict = render_table(comparison(*given, rules=Rules(strict=True, allow_environment=True)), run_of(A, B), 100)
    assert "  environment\n" in strict
    assert "  MACHINE" in strict


def test_what_turns_decided_says_both_even_where_it_is_unchanged():
    turned = in_turns(A, ratio=1.051), in_turns(B, "unchanged", 1.002)
    lines = lines_of(render_table(comparison(*turned), run_of(A, B), 400))
    assert (
        "regressed: 10.0% slower than the baseline, and 5.1% [4.0%, 6.2%] slower than 3f2a91c in turns, here, now; "
        "it is regressed by far (test_a)"
    ) in lines
    assert any(line.startswith("unchanged: 10.0% slower than the baseline, and 0.2% [-0.8%, 1.2%]") for line in lines)
    assert "test_b 10.00 ms 10.02 ms +0.2% [-0.8%, +1.2%] unchanged" in lines


@pytest.mark.parametrize(
    ("took", "said"),
    [
        (
            Confirmation(tests=2, launches=5, seconds=41.2),
            ["confirmed in turns: 2 tests, 5 launches, 41 s"],
        ),
        (Confirmation(tests=1, sessions=2, seconds=9.8), ["confirmed: 1 test, 2 fresh sessions, 10 s"]),
        (
            Confirmation(tests=3, launches=1, sessions=2, seconds=3, remarks=("no git",)),
            ["confirmed in turns: 3 tests, 1 launch, 2 fresh sessions, 3 s", "no git"],
        ),
        (Confirmation(tests=0, seconds=0.0), []),
        (None, []),
    ],
)
def test_what_confirming_took(took, said):
    lines = lines_of(render_table(comparison(finding(A), confirmation=took), run_of(A), 100))
    assert lines[lines.index("") + 1 :] == [*said, "intervals: 90%", "1 unchanged; 1 of 1 decided"]


def test_what_suspects_took_turns_with():
    took = Confirmation(tests=2, launches=5, seconds=41.2)
    text = render_table(comparison(in_turns(A), in_turns(B, "unchanged"), confirmation=took), run_of(A, B), 100)
    assert "\nconfirmed in turns with 3f2a91c: 2 tests, 5 launches, 41 s\n" in text


def test_no_interval_where_there_is_none():
    text = render_table(
        comparison(without_interval(finding(A, "regressed")), without_interval(memory(A, "regressed"))), run_of(A), 80
    )
    assert "[" not in text
    assert "+10.0%  REGRESSED" in text
    assert "intervals" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_hostile_names_change_nothing(width):
    judged = comparison(*(finding(c, "regressed", waiver=WAIVER) for c in HOSTILE))
    text = render_table(judged, run_of(*HOSTILE), width)
    assert all(line.isprintable() for line in text.split("\n"))
    head = text.split("\n\n")[0].split("\n")
    assert all(display_width(line) <= width for line in head)
    assert len({display_width(line) for line in head if line.endswith("waived")}) == 1


def test_what_differs_in_one_figure_is_said_once_with_its_range():
    waited = ("waited for 20% of the time", "waited for 8.5% of the time", "waited for 1,100% of the time")
    run = run_of(A, B, C)
    noted = [
        msgspec.structs.replace(c, measurements=(msgspec.structs.replace(c.measurements[0], notes=(note,)),))
        for c, note in zip(run.cases, waited, strict=True)
    ]
    lines = lines_of(render_table(None, msgspec.structs.replace(run, cases=tuple(noted)), 120))
    assert "note: waited for 8.5% to 1,100% of the time (test_a, test_b, test_c)" in lines
    twice = msgspec.structs.replace(noted[0], measurements=noted[0].measurements + noted[1].measurements)
    lines = lines_of(render_table(None, msgspec.structs.replace(run, cases=(twice,)), 120))
    assert "note: waited for 8.5% to 20% of the time (test_a)" in lines


def test_what_differs_in_more_figures_is_said_of_the_first_case():
    given = [
        finding(case, verdict=a_verdict("inconclusive", reason=f"{n}% in {n} sessions"))
        for n, case in enumerate((A, B, C), 2)
    ]
    lines = lines_of(render_table(comparison(*given), run_of(A, B, C), 120))
    assert "inconclusive: 2% in 2 sessions (test_a); likewise, by other figures: test_b, test_c" in lines


def test_cases_of_several_files_keep_them():
    other = "tests/test_y.py::test_a"
    judged = comparison(finding(A, "regressed"), finding(other, "regressed"))
    assert f"regressed: it is regressed by far ({A}, {other})" in lines_of(render_table(judged, run_of(A, other), 120))


def test_margins_that_differ_stand_beside_their_cases():
    within = comparison(*(finding(c, verdict=a_verdict("unchanged", margin=m)) for c, m in ((A, 0.03), (B, 0.048))))
    lines = lines_of(render_table(within, run_of(A, B), 120))
    assert lines[2].endswith("unchanged within 3%")
    assert lines[3].endswith("unchanged within 4.8%")
    assert lines[-1] == "2 unchanged within 3% to 4.8%; 2 of 2 decided"
    alike = comparison(*(finding(c, verdict=a_verdict("unchanged", margin=0.03)) for c in (A, B)))
    lines = lines_of(render_table(alike, run_of(A, B), 120))
    assert lines[2].endswith("] unchanged")
    assert lines[-1] == "2 unchanged within 3%; 2 of 2 decided"


def test_a_function_of_several_cases_is_named_once():
    cases = [f"t.py::test_model[{model}-1]" for model in ("resnet50", "vit_b_16")]
    judged = comparison(*map(finding, cases), memory(cases[0], "regressed"), finding("t.py::test_other[x]"))
    text = render_table(judged, run_of(*cases, "t.py::test_other[x]", "t.py::test_plain"), 80)
    assert [line[:18].rstrip() for line in text.split("\n")[:8]] == [
        "case",
        "t.py",
        "  test_model",
        "    [resnet50-1]",
        "      peak memory",
        "    [vit_b_16-1]",
        "  test_other[x]",
        "  test_plain",
    ]


def test_the_message_of_a_regressed_test():
    found = finding("tests/test_x.py::test[a b]", "regressed", notes=("the card throttled",))
    assert told(found, "baselines/t4.json").split("\n") == [
        "time per call regressed: tests/test_x.py::test[a b]",
        "  before    800.0 /s, 10.00 ms a call (5 sessions of the baseline)",
        "  now       727.3 /s, 11.00 ms a call (3 sessions)",
        "  change    10.0% [8.9%, 11.1%] slower (intervals: 90%); the tolerance is 3%",
        "            of throughput",
        "  reason    it is regressed by far",
        "  note      the card throttled",
        "  If the new figure is meant, accept it:",
        "    gpuperf calibrate --sessions 5 --into baselines/t4.json -- 'tests/test_x.py::test[a b]'",
    ]


def test_the_message_of_two_revisions():
    sides = Sides(base="main (1a2b3c4)", head="HEAD", launches=3, seconds=1.0)
    lines = told(finding(A, "regressed"), "main", sides=sides).split("\n")
    assert lines[1:3] == [
        "  base      800.0 /s, 10.00 ms a call (main (1a2b3c4))",
        "  head      727.3 /s, 11.00 ms a call (HEAD)",
    ]
    assert lines[-2:] == ["  Look at it again, longer:", f"    gpuperf ab main --budget 1800 -- {A}"]


def test_the_message_where_turns_decided():
    lines = told(in_turns(A, ratio=1.051), "b.json").split("\n")
    assert lines[1:3] == [
        "  before    800.0 /s, 10.00 ms a call (3f2a91c, 5 launches in turns)",
        "  now       761.2 /s, 10.51 ms a call (here, in the same)",
    ]
    assert " ".join(" ".join(lines[3:6]).split()).startswith(
        "change 10.0% slower than the baseline, and 5.1% [4.0%, 6.2%] slower than 3f2a91c in turns, here, now "
        "(intervals: 90%); the tol"
    )
    assert lines[-4:] == [
        "  If the new figure is meant, accept it:",
        f"    gpuperf calibrate --sessions 5 --into b.json -- {A}",
        "  Else find the commit with git bisect, and at each step:",
        f"    gpuperf ab 3f2a91c --tests each -- {A}",
    ]
    assert short("main") == "main"


@pytest.mark.parametrize(
    ("found", "step", "command"),
    [
        (finding(A, "environment"), "If the other versions are meant, record the baseline with them:", "gpuperf cal"),
        (
            finding(A, "machine"),
            "Keep other work off the machine, and run it again:",
            "pytest --gpuperf-compare b.json",
        ),
        (
            in_turns(A, "inconclusive"),
            "Keep other work off the machine, and compare the two in turns again:",
            "pytest --gpuperf-compare b.json",
        ),
    ],
)
def test_the_next_step(found, step, command):
    lines = told(found, "b.json").split("\n")
    assert lines[-2] == f"  {step}"
    assert lines[-1].startswith(f"    {command}")


@pytest.mark.parametrize(
    ("word", "headline"),
    [("environment", "time per call is worse with other software"), ("machine", "time per call is worse on this mach")],
)
def test_the_headline_where_no_code_changed(word, headline):
    assert told(finding(A, word), "b.json").startswith(headline)


def test_twice_as_slow_is_said_as_one_says_it():
    slow = in_turns(A, ratio=2.5, screened=a_verdict("regressed", 2.2))
    assert "2.20 times as slow as the baseline, and 2.50 times [2.48, 2.52] as slow as 3f2a91c in turns" in " ".join(
        told(slow, "b.json").split()
    )


def test_no_level_where_there_is_no_interval():
    assert "change    10.0% slower; the tolerance" in told(without_interval(finding(A, "regressed")), "b.json")


@pytest.mark.parametrize("word", ["regressed", "inconclusive", "environment", "machine"])
def test_the_command_line_takes_every_command_that_a_message_gives(word):
    sides = Sides(base="main (1a2b3c4d5e)", head="HEAD", launches=5, seconds=9)
    messages = told(in_turns(A, word), "b.json"), told(finding(A, word), "b.json", sides=sides)
    commands = [line for text in messages for line in text.split("\n") if line.startswith("    gpuperf ")]
    assert commands
    for command in commands:
        assert callable(parse(shlex.split(command)[1:]).run)


def test_the_message_where_inconclusive_fails():
    text = told(memory(A, "inconclusive", current_sessions=1), "b.json")
    assert text.startswith(f"peak memory inconclusive: {A}")
    assert "now       953.7 MiB (1 session)" in text
    assert "Record more sessions of the baseline's code:" in text


def test_a_message_obeys_no_name():
    text = told(finding(HOSTILE[2], "regressed"), "b\x1b.json")
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_has_moved_since_a_pinned_reference():
    reference = comparison(finding(A, "regressed"), finding(B), memory(A, "improved"), baseline="v1.json")
    assert lines_of(render_reference(reference, 120)) == [
        "Since the reference v1.json: 1 unchanged, 1 regressed; 2 of 2 decided",
        "case reference now change verdict",
        f"{A} 10.00 ms 11.00 ms +10.0% [+8.9%, +11.1%] REGRESSED",
        f"{A} peak memory 953.7 MiB 858.3 MiB -10.0% [-10.9%, -9.1%] improved",
    ]
    took = Confirmation(tests=1, launches=5, seconds=20)
    calm = comparison(finding(B), baseline="v1.json", confirmation=took)
    assert lines_of(render_reference(calm, 80)) == [
        "Since the reference v1.json: 1 unchanged; 1 of 1 decided",
        "confirmed in turns: 1 test, 5 launches, 20 s",
    ]


def test_a_rate_of_energy_has_its_unit():
    energy = finding(A, "regressed", evidence="energy", metric="energy")
    assert "before    0.5000 J/item" in told(energy, "b.json")
    assert "change    10.0% [8.9%, 11.1%] more energy (intervals: 90%)" in told(energy, "b.json")
    time = finding(A, "regressed", metric="device_time")
    assert "now       11.00 ms (3 sessions)" in told(time, "b.json")
