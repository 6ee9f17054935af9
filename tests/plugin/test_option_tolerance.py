"""--gpuperf-tolerance and the marker: how much worse a metric may become."""

from __future__ import annotations

import pytest

from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.records.units import parse_tolerance

ONE = """
    def test_spin(gpuperf):
        gpuperf(spin, 0.5)
"""
MARKED = """
    @pytest.mark.gpuperf(tolerance={"throughput": "90%"})
    def test_spin(gpuperf):
        gpuperf(spin, 0.5)
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("throughput=banana", "*'banana' is not a percentage. Write it like 3%."),
        ("throughput=3", "*'3' has no unit. Write 3%*"),
        ("throughput", "*'throughput' is not a percentage. Write it like 3%."),
        ("speed=3%", "*unknown metric 'speed'. The metrics are: throughput,*"),
        ("throughput=-3%", "*out of range*"),
        ("throughput=100%", "*out of range*"),
        ("throughput=nan%", "*out of range*"),
    ],
)
def test_a_tolerance_that_makes_no_sense_is_refused(story, text, says):
    story.suite(ONE)
    result = story.run("--gpuperf-tolerance", text)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --gpuperf-tolerance{says}"])


def test_a_tolerance_of_nothing_else_is_of_throughput(story):
    assert parse_tolerance("5%", "-") == ("throughput", 0.05)
    story.suite(ONE)
    story.run("--gpuperf-tolerance", "5%", "--gpuperf-save", "run.json")
    (case,) = read_run(story.path / "run.json").cases
    assert case.rule.tolerance == {"throughput": 0.05}


def test_two_names_of_one_evidence_are_refused(story):
    story.suite(ONE)
    result = story.run("--gpuperf-tolerance", "throughput=3%", "--gpuperf-tolerance", "latency=5%")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*throughput and latency are judged as one (time)*"])


def test_within_its_tolerance_a_slower_case_does_not_fail(story):
    story.suite(ONE)
    story.record()
    story.suite(ONE.replace("0.5", "1"))
    assert story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off").ret == 1
    tolerant = ["--gpuperf-tolerance", "latency=200%"]
    assert story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off", *tolerant).ret == 4  # out of range
    result = story.run(
        "--gpuperf-compare", "base.json", "--gpuperf-confirm", "off", "--gpuperf-tolerance", "throughput=90%"
    )
    assert result.ret == 0


def test_a_marker_sets_the_tolerance_of_its_test(story):
    story.suite(MARKED)
    story.record()
    story.suite(MARKED.replace("0.5", "1"))
    assert story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off").ret == 0


def test_the_command_line_goes_above_the_marker_and_the_marker_above_the_ini_file(story):
    story.pytester.makeini("[pytest]\ngpuperf_tolerance =\n    throughput=2%\n    peak_memory=7%\n")
    story.suite(MARKED)
    story.run("--gpuperf-save", "run.json")
    (case,) = read_run(story.path / "run.json").cases
    assert case.rule.tolerance == {"peak_memory": 0.07, "throughput": 0.9}

    story.run("--gpuperf-save", "run.json", "--gpuperf-tolerance", "device_time=4%")
    (case,) = read_run(story.path / "run.json").cases
    assert case.rule.tolerance == {"peak_memory": 0.07, "device_time": 0.04}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ('tolerance="3%"', "*tolerance is a dictionary*"),
        ('tolerance={"throughput": "3"}', "*has no unit*"),
        ('tolerance={"speed": "3%"}', "*unknown metric 'speed'*"),
        ('margin="wide"', "*'wide' is not a percentage*"),
        ('budget="soon"', "*is not a time. Write it like 10, 10s, 5m or 1h*"),
        ('cache="lukewarm"', "*cache 'lukewarm' is not one of: *"),
        ("tolerence=1", "*does not take tolerence. It takes: tolerance, margin, budget, cache*"),
        ("3", "*does not take 3*"),
    ],
)
def test_a_marker_that_makes_no_sense_fails_its_test(story, arguments, says):
    story.suite(f"""
        @pytest.mark.gpuperf({arguments})
        def test_spin(gpuperf):
            gpuperf(spin, 0.2)

        def test_other(gpuperf):
            gpuperf(spin, 0.2)
    """)
    result = story.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([says])


def test_markers_of_class_and_test_join_key_by_key(story):
    story.suite("""
        @pytest.mark.gpuperf(tolerance={"throughput": "5%"}, margin="9%")
        class TestAll:
            @pytest.mark.gpuperf(margin="8%")
            def test_spin(self, gpuperf):
                gpuperf(spin, 0.2)
    """)
    story.run("--gpuperf-save", "run.json")
    (case,) = read_run(story.path / "run.json").cases
    assert case.rule.tolerance == {"throughput": 0.05}
    assert case.rule.margin == 0.08
