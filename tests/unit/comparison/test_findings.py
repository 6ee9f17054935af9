"""Which findings fail a session, under which rules, and what the reader is told to do about it."""

from __future__ import annotations

import pytest
from verdicts import WAIVER, a_verdict, comparison, finding, memory

from pytest_gpuperf.comparison.findings import Rules

A, B = "tests/test_x.py::test_a", "tests/test_x.py::test_b"
STRICT, ALLOWED = Rules(strict=True), Rules(allow_environment=True)


def test_what_other_software_made_slower_fails_unless_it_may():
    given = finding(A, "environment"), finding(B)
    failed = comparison(*given, changes=("torch 2.13.0 -> 2.15.0",))
    assert failed.exit_code == 1
    assert failed.is_failure(given[0])
    (problem,) = failed.problems
    assert problem == (
        "1 of 2 compared figures cost more with other versions of software (torch 2.13.0 -> 2.15.0); no code changed. "
        "If they are meant, record the baseline with them: `gpuperf calibrate --sessions 5 --into baselines/t4.json`"
        "; or allow it: --gpuperf-allow-environment (gpuperf compare: --allow-environment)"
    )
    allowed = comparison(*given, rules=ALLOWED)
    assert (allowed.exit_code, allowed.problems, allowed.is_failure(given[0])) == (0, (), False)
    assert "software; no code changed" in comparison(*given).problems[0]  # the list of versions may not tell which


def test_what_other_software_made_faster_passes():
    faster = comparison(finding(A, "environment", 0.9))
    assert (faster.exit_code, faster.decided) == (0, 1)


def test_what_the_machine_moved_is_a_warning_and_fails_where_strict_is_on():
    given = finding(A, "machine"), finding(B)
    assert (comparison(*given).exit_code, comparison(*given).decided) == (0, 2)
    assert not comparison(*given).is_failure(given[0])
    strict = comparison(*given, rules=STRICT)
    assert (strict.exit_code, strict.is_failure(given[0])) == (1, True)
    (problem,) = strict.problems
    assert problem == (
        "1 of 2 compared figures moved, and strict is on: neither code nor versions changed, so the machine did that. "
        "Keep other work off the machine, and run again."
    )


@pytest.mark.parametrize(
    ("suite", "rules", "said"),
    [
        (a_verdict("environment"), Rules(), "The suite as a whole costs more with other versions of software"),
        (a_verdict("environment", 0.9), Rules(), None),
        (a_verdict("environment"), ALLOWED, None),
        (
            a_verdict("machine"),
            STRICT,
            "The suite as a whole moved, and strict is on: neither code nor versions changed",
        ),
        (a_verdict("machine"), Rules(), None),
    ],
)
def test_the_suite_as_a_whole_likewise(suite, rules, said):
    judged = comparison(finding(A), suite=suite, rules=rules)
    assert judged.exit_code == (1 if said else 0)
    assert not said or judged.problems[0].startswith(said)


def test_a_waiver_tolerates_other_software_and_the_machine_too():
    waived = [finding(A, word, waiver=WAIVER) for word in ("regressed", "environment", "machine")]
    judged = comparison(*waived, rules=STRICT)
    assert (judged.exit_code, judged.problems) == (0, ())
    assert not any(map(judged.is_failure, waived))


def test_inconclusive_is_a_failure_where_strict_is_on():
    open_case, slower = finding(A, "inconclusive"), memory(A, "regressed")
    assert not comparison(open_case).is_failure(open_case)
    assert comparison(open_case, rules=STRICT).is_failure(open_case)
    assert comparison(slower).is_failure(slower)
    assert not comparison(finding(A)).is_failure(finding(A))
