"""--gpuperf-compare: a pull request is judged against a baseline."""

from __future__ import annotations

import pytest

TWO = """
    def test_fast(gpuperf):
        gpuperf(spin, 0.5)

    def test_slow(gpuperf):
        gpuperf(spin, 1)
"""


def test_an_unchanged_suite_passes(story):
    story.suite(TWO)
    story.record()
    result = story.run("--gpuperf-compare", "base.json")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*judged against base.json (2 cases)", "*2 unchanged*"])


def test_exactly_the_slower_test_fails_and_says_what_to_do(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("spin, 1", "spin, 2"))
    result = story.run("--gpuperf-compare", "base.json", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*measured again in a fresh process (1 of 2)*",
            "*= FAILURES =*",
            "*test_slow*",
            "*throughput*",
            "*gpuperf calibrate --sessions 5 --into base.json -- *test_perf.py::test_slow*",
            "*1 regressed*",
            "FAILED test_perf.py::test_slow - regressed: throughput",
        ]
    )
    junit = (story.path / "junit.xml").read_text()
    assert 'failures="1"' in junit
    assert 'tests="2"' in junit


def test_a_faster_suite_is_improved_and_passes(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("spin, 1", "spin, 0.5"))
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 improved*"])


def test_new_cases_are_listed(story):
    story.suite(TWO)
    story.record("-k", "fast")
    result = story.run("--gpuperf-compare", "base.json")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  test_slow * new", "1 new: not in base.json*"])


def test_nothing_compared_fails(story):
    story.suite(TWO)
    story.record("-k", "fast")
    result = story.run("--gpuperf-compare", "base.json", "-k", "slow")
    assert result.ret == 6
    result.stdout.fnmatch_lines(["gpuperf: Nothing was compared*"])


def test_no_tests_at_all_is_nothing_compared_too(story):
    story.suite(TWO)
    story.record()
    assert story.run("--gpuperf-compare", "base.json", "-k", "neither").ret == 6


def test_saving_while_comparing_is_allowed(story):
    story.suite(TWO)
    story.record()
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-save", "second.json")
    assert result.ret == 0
    assert (story.path / "second.json").exists()


def test_auto_takes_the_file_of_the_device(story):
    story.suite(TWO)
    result = story.run("--gpuperf-compare", "auto")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *has no baseline yet*gpuperf calibrate --sessions 5 --into baselines/cpu-*"])

    name = result.stderr.str().split("--into ")[1].split(" ")[0]
    story.record()
    (story.path / "baselines").mkdir()
    (story.path / "base.json").rename(story.path / name)
    assert story.run("--gpuperf-compare", "auto").ret == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "*base.json*"),
        (b"", "*base.json*empty*"),
        (b"{", "*base.json*"),
        (b"\x00\xff\x00", "*base.json*"),
        (b'{"format": "gpuperf-baseline", "version": 99}', "*newer*"),
    ],
    ids=["missing", "empty", "truncated", "binary", "newer"],
)
def test_an_unreadable_baseline_is_exit_4_before_measuring(story, content, says):
    story.suite(TWO)
    if content is not None:
        (story.path / "base.json").write_bytes(content)
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert "passed" not in result.stdout.str()
    if content is not None:
        assert (story.path / "base.json").read_bytes() == content


def test_a_folder_is_no_baseline(story):
    story.suite(TWO)
    (story.path / "base.json").mkdir()
    assert story.run("--gpuperf-compare", "base.json").ret == 4


def test_another_device_is_never_compared(story):
    import msgspec

    from pytest_gpuperf.records.model import Device

    story.suite(TWO)
    story.record()
    environment = msgspec.structs.replace(
        story.read().environment,
        device=Device(kind="cuda", name="Tesla T4", memory=15 * 2**30, capability="7.5"),
    )
    story.change_baseline(environment=environment)
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *measured on another device*Tesla T4*"])


def test_another_count_of_items_is_not_the_same_measurement(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("spin, 1", "spin, 1, items=8"))
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*counts 8 items a call, its baseline 1*"])


def test_what_stands_in_the_environment_does_not_switch_the_gate_off(story, monkeypatch):
    story.suite(TWO)
    story.record()
    monkeypatch.setenv("GPUPERF_SESSION", "{}")
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: GPUPERF_SESSION is set*unset GPUPERF_SESSION"])
