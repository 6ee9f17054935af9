"""--gpuperf-confirm: a suspect is measured again before it may fail."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from pytest_gpuperf.device import choice
from pytest_gpuperf.device.choice import card_sensors, choose_device
from pytest_gpuperf.records.files import read_baseline, read_run, write_baseline

# Slow in its first process, as on a machine that was busy for a moment; as ever in a fresh one.
ONCE = """
    from pathlib import Path

    def test_once(gpuperf):
        first = not Path("seen").exists()
        Path("seen").touch()
        gpuperf(spin, 1 if first else 0.5)

    def test_calm(gpuperf):
        gpuperf(spin, 0.5)
"""


@pytest.fixture
def recorded(story):
    (story.path / "seen").touch()
    story.suite(ONCE)
    story.record()
    (story.path / "seen").unlink()
    return story


def test_a_slow_moment_is_forgiven_by_fresh_processes(recorded):
    result = recorded.run("--gpuperf-compare", "base.json", "--gpuperf-save", "all.json")
    result.assert_outcomes(passed=2)
    assert result.ret in {0, 7}
    result.stdout.fnmatch_lines(["gpuperf: 2 tests are measured again in a fresh process (1 of 2) ..."])
    run = read_run(recorded.path / "all.json")
    assert len(run.sessions) == 3
    assert all(len(c.measurements) == 3 for c in run.cases)  # the calm one went along as a reference


def test_the_fresh_process_leaves_this_sessions_files_alone(recorded):
    own = ("--log-file", "log.txt", "--log-file-level", "INFO", "--basetemp", "temporary")
    recorded.suite(
        ONCE.replace("def test_once(gpuperf):", "def test_once(gpuperf, tmp_path):")
        .replace("first = not", "(tmp_path / 'mine').touch(); logging.warning('here'); first = not")
        .replace("from pathlib", "import logging\n    from pathlib")
    )
    recorded.run("--gpuperf-compare", "base.json", *own).stdout.fnmatch_lines(["gpuperf: measured again in * s"])
    assert (recorded.path / "log.txt").read_text().count("here") == 1
    assert list((recorded.path / "temporary").rglob("mine"))


@pytest.mark.parametrize(
    "own", [("-p", "no:cacheprovider", "--strict-config"), ("--junitxml", "junit.xml", "-x", "--lf")]
)
def test_the_fresh_process_keeps_the_sessions_own_options(recorded, own):
    result = recorded.run("--gpuperf-compare", "base.json", *own)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["gpuperf: measured again in * s"])


def test_without_confirmation_one_session_decides(recorded):
    result = recorded.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off")
    assert result.ret == 1
    assert "measured again" not in result.stdout.str()


def test_in_the_test_itself_where_a_card_serves_one_process_alone(recorded):
    result = recorded.run(
        "--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test", "--gpuperf-save", "all.json"
    )
    assert result.ret == 1  # the same process stays slow
    assert "fresh process" not in result.stdout.str()
    run = read_run(recorded.path / "all.json")
    by_test = {c.test: len(c.measurements) for c in run.cases}
    assert by_test["test_perf.py::test_once"] == 3
    assert len({s.id for s in run.sessions}) == 3


def test_a_card_that_serves_one_process_alone_is_measured_again_in_the_test(recorded, machine, monkeypatch):
    machine.change(compute_mode=3)

    def choose(request):
        return replace(choose_device(request), sensors=card_sensors(machine.gpus[0].uuid, None))

    monkeypatch.setattr(choice, "choose_device", choose)
    result = recorded.run("--gpuperf-compare", "base.json")
    assert "fresh process" not in result.stdout.str()
    assert result.ret == 1  # the same process stays slow
    machine.change(compute_mode=0)
    (recorded.path / "seen").unlink()
    result = recorded.run("--gpuperf-compare", "base.json")
    result.stdout.fnmatch_lines(["gpuperf: *measured again in a fresh process (1 of 2) ..."])


def test_a_suspect_that_cannot_be_measured_again_neither_passes_nor_fails_alone(story):
    story.suite("""
        from pathlib import Path

        def test_once(gpuperf):
            gpuperf(spin, 0.5)
    """)
    story.record()
    story.suite("""
        from pathlib import Path

        def test_once(gpuperf):
            assert not Path("seen").exists(), "the second process breaks"
            Path("seen").touch()
            gpuperf(spin, 1)
    """)
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret in {1, 7}
    result.stdout.fnmatch_lines(
        ["gpuperf: A suspect could not be confirmed: *exit code 1*", "*the second process breaks*"]
    )


# Slow in its first three processes, as every fifth is in many a test; then as ever.
UNLUCKY = """
    from pathlib import Path

    def test_unlucky(gpuperf):
        process = int(Path("seen").read_text()) + 1
        Path("seen").write_text(str(process))
        assert process != {breaks}, "this process breaks"
        gpuperf(spin, 1 if process <= {slow} else 0.5)

    def test_calm(gpuperf):
        gpuperf(spin, 0.5)
"""


@pytest.fixture
def unlucky(story):
    def suite(*, slow=3, breaks=0):
        story.suite(UNLUCKY.format(slow=slow, breaks=breaks))
        (story.path / "seen").write_text("10")
        story.record()
        (story.path / "seen").write_text("0")
        return story.run("--gpuperf-compare", "base.json", "--gpuperf-save", "all.json"), story

    return suite


def test_what_would_fail_is_measured_in_two_more_processes_first(unlucky):
    result, story = unlucky()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["gpuperf: 2 tests are measured once more in a fresh process (2 of 2) ..."])
    run = read_run(story.path / "all.json")
    assert {c.test.partition("::")[2]: len(c.measurements) for c in run.cases}["test_unlucky"] == 5


def test_five_slow_processes_convict(unlucky):
    result, _ = unlucky(slow=9)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*slower in 5 sessions, beside 5 of the baseline*"])


MANY = """
    from pathlib import Path

    number = None

    def process():
        global number
        if number is None:
            number = int(Path("seen").read_text()) + 1
            Path("seen").write_text(str(number))
        return number

    @pytest.mark.parametrize("case", range(12))
    def test_spin(gpuperf, case):
        gpuperf(spin, 0.5 * (1.06 if process() <= 3 else 1))
"""


def restless(baseline):
    """The same, with sessions of one hour in which each case differs by some percent, and their middle does not."""
    draws = [[random.Random(8 * case + session).gauss(0, 0.03) for session in range(5)] for case in range(6)]
    cases = []
    for number, case in enumerate(baseline.cases):
        sign = 1 if number < 6 else -1
        moved = (
            msgspec.structs.replace(s, medians=tuple(m * (1 + sign * by) for m in s.medians))
            for s, by in zip(case.series, draws[number % 6], strict=True)
        )
        cases.append(msgspec.structs.replace(case, series=tuple(moved)))
    hour = (msgspec.structs.replace(s, time=f"2026-01-01T00:0{i}:00Z") for i, s in enumerate(baseline.sessions))
    return msgspec.structs.replace(baseline, cases=tuple(cases), sessions=tuple(hour))


def test_a_suite_that_would_fail_as_a_whole_is_measured_in_two_more_too(story):
    story.suite(MANY)
    (story.path / "seen").write_text("10")
    file = story.record()
    write_baseline(file, restless(read_baseline(file)))
    (story.path / "seen").write_text("0")
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-min-decided", "0%")
    result.stdout.fnmatch_lines(["gpuperf: 12 tests are measured once more in a fresh process (2 of 2) ..."])
    assert result.ret == 0


def test_where_the_two_more_fail_nobody_is_convicted(unlucky):
    result, _ = unlucky(slow=9, breaks=5)
    assert result.ret in {1, 7}
    result.stdout.fnmatch_lines(["gpuperf: A suspect could not be confirmed: *exit code 1*"])
    assert "5 sessions" not in result.stdout.str()


def test_an_unknown_way_is_refused(story):
    story.suite(ONCE)
    result = story.run("--gpuperf-confirm", "twice")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --gpuperf-confirm: 'twice' is not one of: *process, in-test, off*"])
