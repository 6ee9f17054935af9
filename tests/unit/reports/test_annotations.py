"""What GitHub shows beside the test's own line, and what no name may make its runner do."""

from __future__ import annotations

import re

import pytest
from verdicts import HOSTILE, WAIVER, comparison, finding, in_turns, memory, run_of, without_interval

from pytest_gpuperf.causes.explain import Cause, Explanation
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.annotations import SHOWN, github_commands
from pytest_gpuperf.reports.tables import inert
from pytest_gpuperf.reports.terminal import explain, render_table

A, B = "tests/test_x.py::test_a", "tests/test_x.py::test_b"
COMMANDS = ("::error file=a.py,line=1::forged", "##[add-mask]secret", "%0A::stop-commands::x", "\n::error::x", "a,b:c")


def obeyed(line):
    """The command in a line, its properties and its data, as GitHub's runner reads it (ActionCommand.cs there).

    It trims the line; and its comparison, which follows a culture, overlooks marks that have no width.
    """
    line = re.sub("[\u00ad\u034f\u200b-\u200f\ufe00-\ufe0f]", "", line).lstrip()
    if line.startswith("::") and "::" in line[2:]:
        info, data = line[2:].split("::", 1)
        name, _, given = info.partition(" ")
        pairs = [p.split("=", 1) for p in given.split(",") if "=" in p]
        return name, {k: decoded(v, value=True) for k, v in pairs}, decoded(data)
    old = re.search(r"##\[(\w[^\]]*)\]", line)
    return old and (old[1], {}, "")


def decoded(text, *, value=False):
    text = text.replace("%0D", "\r").replace("%0A", "\n")
    if value:
        text = text.replace("%3A", ":").replace("%2C", ",")
    return text.replace("%25", "%")


def judged(*findings, **changes):
    return JudgedRun(run_of(*dict.fromkeys(f.case for f in findings)), comparison(*findings, **changes))


def test_a_regression_stands_on_the_line_of_its_test():
    cause = Explanation(causes=(Cause(kind="copy", sentence="1 new copy"),))
    summary, line = github_commands(judged(finding(A, "regressed", line=12), explanations={A: cause}), "perf/")
    name, properties, text = obeyed(line)
    assert name == "error"
    assert properties == {
        "file": "perf/tests/test_x.py",
        "line": "12",
        "title": "time per call regressed, 10.0% slower: test_a",
    }
    figures = (
        "before 800.0 /s, 10.00 ms a call (5 sessions of the baseline), now 727.3 /s, 11.00 ms a call (3 sessions)"
    )
    assert text.split("\n")[:3] == [
        A,
        f"{figures}: +10.0% [+8.9%, +11.1%] (interval: 90%); the tolerance is 3% of throughput",
        "it is regressed by far",
    ]
    assert text.split("\n")[3].startswith("why: 1 new copy")
    assert obeyed(summary)[2] == "1 of 1 compared figures regressed.\n1 regressed; 1 of 1 decided."
    assert obeyed(summary)[1] == {"title": "gpuperf on Tesla T4"}


def test_what_could_not_be_told_is_a_warning_and_fails_where_strict_is_on():
    undecided = finding(A, "inconclusive"), *(finding(f"{B}[{i}]") for i in range(9))
    (warning,) = github_commands(judged(*undecided))
    assert obeyed(warning)[0] == "warning"
    strict = github_commands(judged(*undecided, rules=Rules(strict=True)))
    assert [obeyed(line)[0] for line in strict] == ["error", "error"]


def test_what_the_machine_moved_is_a_warning_and_what_other_software_did_an_error():
    error, warning = github_commands(judged(finding(A, "environment"), finding(B, "machine")))[1:]
    assert (obeyed(error)[0], obeyed(error)[1]["title"]) == (
        "error",
        "time per call is worse with other software, 10.0% slower: test_a",
    )
    assert (obeyed(warning)[0], obeyed(warning)[1]["title"]) == (
        "warning",
        "time per call is worse on this machine, 10.0% slower: test_b",
    )
    allowed = judged(
        finding(A, "environment"), finding(B, "machine", waiver=WAIVER), rules=Rules(allow_environment=True)
    )
    assert github_commands(allowed) == []


def test_what_turns_decided_says_both():
    (_, line) = github_commands(judged(in_turns(A, ratio=1.051)))
    text = obeyed(line)[2].split("\n")
    assert text[1].startswith("before 800.0 /s, 10.00 ms a call (3f2a91c, 5 launches in turns), now 761.2 /s")
    assert text[2].startswith(
        "10.0% slower than the baseline, and 5.1% [4.0%, 6.2%] slower than 3f2a91c in turns, here"
    )


def test_an_interval_that_is_not_known_is_not_explained():
    (_, line) = github_commands(judged(without_interval(finding(A, "regressed"))))
    assert "(3 sessions): +10.0%; the tolerance" in obeyed(line)[2]


def test_what_passes_or_is_waived_is_not_annotated():
    quiet = finding(A, "regressed", waiver=WAIVER), finding(B), memory(B, "improved")
    assert github_commands(judged(*quiet)) == []


def test_against_a_reference_too():
    since = comparison(finding(A, "regressed"), baseline="v1.json")
    lines = github_commands(JudgedRun(run_of(A), comparison(finding(A)), since))
    assert "Against the reference v1.json" in obeyed(lines[0])[2]
    assert obeyed(lines[1])[1]["file"] == "tests/test_x.py"


def test_no_more_than_github_shows_and_the_rest_is_counted():
    cases = [f"{A}[{i}]" for i in range(30)]
    lines = github_commands(
        judged(*(finding(c, "regressed") for c in cases), *(finding(f"{c}u", "inconclusive") for c in cases))
    )
    kinds = [obeyed(line)[0] for line in lines]
    assert kinds == ["error"] * SHOWN + ["warning"] * SHOWN
    assert "30 of 60 compared figures regressed" in obeyed(lines[0])[2]
    assert obeyed(lines[-1])[2] == "21 more are undecided, or moved by the machine: see the job's summary."


@pytest.mark.parametrize("name", [*HOSTILE, *(f"tests/{c}/test_x.py::test[{c}]" for c in COMMANDS), "::::error::x"])
def test_a_name_is_a_name_in_a_command(name):
    for line in github_commands(judged(finding(name, "regressed"), finding(B, "inconclusive"))):
        assert line.isprintable()  # one line, whatever it was given
        kind, properties, _ = obeyed(line)
        assert kind in {"error", "warning"}
        assert set(properties) <= {"file", "line", "title"}
        assert properties.get("line", "1") == "1"
        assert not any(map(obeyed, obeyed(line)[2].split("\n")))  # nor when the log is read again


@pytest.mark.parametrize("name", [*COMMANDS, "\ufe0f::error::x", "  ::error::x", "x::" + "y" * 90 + "::error::z"])
@pytest.mark.parametrize("width", [40, 80])
def test_no_other_report_is_obeyed(name, width):
    found = finding(name, "regressed", notes=(name,))
    judged = comparison(found, vanished=(name,), baseline=f"{name}.json")
    texts = render_table(judged, run_of(name), width), explain(found, judged)
    for text in texts:
        assert [line for line in text.split("\n") if obeyed(line)] == []


def test_ordinary_names_are_not_touched():
    assert inert("tests/test_x.py::test_a[##1] ::") == "tests/test_x.py::test_a[##1] ::"
