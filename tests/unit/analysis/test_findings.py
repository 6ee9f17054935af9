"""What makes a comparison fail, in sentences: slower with no code changed, by other software or by the machine."""

from __future__ import annotations

import pytest
from verdicts import WAIVER, comparison, finding, verdict

from pytest_gpuperf.analysis.findings import Rules

A, B = "tests/test_x.py::test_a", "tests/test_x.py::test_b"
ALLOW = (
    "If that is meant, allow it: --gpuperf-allow-environment (gpuperf compare: --allow-environment), and record a new "
    "baseline: gpuperf calibrate --sessions 5 --into baselines/t4.json -- PYTEST-ARGUMENTS"
)
TORCH = "torch 2.13.0 -> 2.15.0"


def test_slower_by_other_software_fails_unless_that_is_allowed():
    slower = finding(A, "environment"), finding(B, "environment")
    judged = comparison(*slower, changes=(TORCH,))
    assert judged.exit_code == 1
    assert judged.problems == (
        f"2 cases are slower with other versions of software ({TORCH}), no code changed. {ALLOW}",
    )
    allowed = comparison(*slower, rules=Rules(allow_environment=True))
    assert (allowed.exit_code, allowed.decided) == (0, 2)


def test_only_the_first_versions_are_named():
    versions = tuple(f"package{i} 1 -> 2" for i in range(5))
    (problem,) = comparison(finding(A, "environment"), changes=versions).problems
    assert problem.startswith(
        "1 case is slower with other versions of software "
        "(package0 1 -> 2, package1 1 -> 2, package2 1 -> 2, and 2 more), no code changed. If"
    )
    (problem,) = comparison(finding(A, "environment")).problems
    assert problem.startswith("1 case is slower with other versions of software, no code changed. If")


def test_slower_by_the_machine_fails_where_strict_is_on():
    slower = finding(A, "machine"), finding(B)
    assert comparison(*slower).exit_code == 0
    strict = comparison(*slower, rules=Rules(strict=True))
    assert strict.problems == ("1 case is slower by the machine, no code and no version changed; strict is on.",)
    assert strict.exit_code == 1


@pytest.mark.parametrize("word", ["environment", "machine"])
def test_who_is_not_slower_or_is_waived_does_not_fail(word):
    faster = finding(A, word, verdict=verdict(word, 0.9))
    same = finding(A, word, verdict=verdict(word, 1.02))  # within the tolerance
    waived = finding(A, word, waiver=WAIVER)
    rules = Rules(strict=True)
    assert [comparison(f, rules=rules).exit_code for f in (faster, same, waived)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("word", "allowed", "sentence"),
    [
        ("environment", Rules(allow_environment=True), "The suite as a whole is slower with other versions"),
        ("machine", Rules(), "The suite as a whole is slower by the machine, no code changed"),
    ],
)
def test_a_whole_suite_that_is_slower_with_no_code_changed(word, allowed, sentence):
    cases = finding(A), finding(B)
    strict = Rules(strict=True)
    (problem,) = comparison(*cases, suite=verdict(word, 1.05), rules=strict).problems
    assert problem.startswith(sentence)
    assert comparison(*cases, suite=verdict(word, 1.05), rules=allowed).exit_code == 0
    assert comparison(*cases, suite=verdict(word, 1.005), rules=strict).exit_code == 0  # its interval holds 1
