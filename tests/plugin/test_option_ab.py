"""--gpuperf-ab: the working state beside another revision, reported as tests are."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from revisions_of import ON_CPU, Project

TWO = """
import pytest
import work

@pytest.mark.parametrize("name", ["steady", "spin"])
def test_call(gpuperf, name):
    gpuperf(getattr(work, name))

def test_plain():
    raise AssertionError("is not run")
"""


@pytest.fixture
def project(pytester, monkeypatch):
    made = Project(pytester.path / "project")  # pytester keeps its own files above
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("COLUMNS", "120")
    made.write("pytest.ini", "[pytest]\nfilterwarnings = error\npythonpath = .\n")
    return made


@pytest.fixture
def slower(project):
    """One of two workloads is slower in the working state."""
    project.two_commits(1.0, 1.0, TWO)
    project.git("checkout", "-q", "-B", "main", "base")
    steady = "\n\ndef steady():\n    end = perf_counter() + 0.0005\n    while perf_counter() < end:\n        pass\n"
    package = project.root / "work/__init__.py"
    package.write_text(package.read_text() + steady)
    project.commit("both")
    project.git("branch", "-f", "base")
    package.write_text(package.read_text().replace("MILLISECONDS = 1.0", "MILLISECONDS = 1.3"))
    return project


def test_a_slower_test_fails_and_the_others_pass_each_reported_once(slower, pytester):
    files = ("--junitxml", "junit.xml", "--gpuperf-markdown", "out/report.md", "--gpuperf-csv", "out/report.csv")
    before = slower.git("stash", "list"), slower.git("status", "--porcelain")
    result = pytester.runpytest_inprocess("--gpuperf-ab", "base", *ON_CPU, *files, "tests")
    assert result.ret == 1, result.stdout.str()
    result.assert_outcomes(failed=1, passed=1, deselected=1)
    result.stdout.fnmatch_lines_random(
        [
            "gpuperf: launch 1: all tests (* s so far)",
            "time per call regressed: tests/test_perf.py::test_call[[]spin]",
            "  base      * /s, * a call (base (*))",
            "  head      * /s, * a call (HEAD (*+dirty))",
            "  Look at it again, longer:",
            "    gpuperf ab base --budget 1800 -- --gpuperf-device cpu * 'tests/test_perf.py::test_call[[]spin]'",
            "case *base (*)  HEAD (*+dirty) * change  verdict",
            "    [[]spin]* REGRESSED",
            "gpuperf: 1 of 2 compared figures regressed.",
            "gpuperf: tests that measure nothing, left out: 1",
            "FAILED tests/test_perf.py::test_call[[]spin] - regressed: throughput",
        ]
    )
    suite = ET.parse(slower.root / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "base (" in (slower.root / "out/report.md").read_text()
    assert "regressed" in (slower.root / "out/report.csv").read_text()
    assert before[0] == slower.git("stash", "list")
    assert before[1] in slower.git("status", "--porcelain")


def test_what_fails_or_is_skipped_on_one_side(project, pytester):
    project.two_commits(
        suite="""
import os
import pytest
import work

def test_broken(gpuperf):
    assert not work.__file__.endswith("head/work/__init__.py"), "broken by the change"
    gpuperf(work.spin)

def test_skipped(gpuperf):
    pytest.skip("not here")

def test_calm(gpuperf):
    gpuperf(work.spin)
"""
    )
    result = pytester.runpytest_inprocess("--gpuperf-ab", "base", *ON_CPU, "-rs")
    assert result.ret == 1
    result.assert_outcomes(failed=1, passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*test_broken failed on HEAD (*): head: failed in call: * broken by the change*"])
    result.stdout.fnmatch_lines(["SKIPPED * head: skipped: not here"])


def test_each_side_is_built_by_the_command_of_gpuperf_setup(project, pytester):
    project.two_commits(head=1.3)
    result = pytester.runpytest_inprocess(
        "--gpuperf-ab", "base", *ON_CPU, "--gpuperf-setup", "echo no compiler; exit 3"
    )
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*ended with exit code 3 for base*"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--gpuperf-ab", "nowhere"), 4, "*'nowhere' names no commit of*"),
        (("--gpuperf-ab", "HEAD"), 4, "*are the same on both sides*--allow-same*"),
        (("--gpuperf-ab", "base", "-n", "1"), 4, "*pytest-xdist would run tests at once*"),
        (("--gpuperf-ab", "base", "--gpuperf-save", "run.json"), 4, "*records no run*"),
        (("--gpuperf-ab", "base", "-k", "nothing"), 5, "*1 deselected*"),
        (("--gpuperf-ab", "base", "--collect-only"), 0, "*<Function test_spin>*"),
    ],
)
def test_what_cannot_be_compared_ends_as_pytest_ends(project, pytester, arguments, code, said):
    project.two_commits()
    result = pytester.runpytest_subprocess(*ON_CPU, *arguments)
    assert result.ret == code
    assert any(said.strip("*").split("*")[0] in line for line in [*result.outlines, *result.errlines])


def test_a_process_that_fails_ends_the_session(project, pytester):
    project.write("conftest.py", "import os\n\nif 'GPUPERF_AB_PLACE' in os.environ:\n    os._exit(9)\n")
    project.two_commits()
    result = pytester.runpytest_inprocess("--gpuperf-ab", "base", *ON_CPU)
    assert result.ret == 3
    assert "ended with exit code 9 before it had collected its tests" in result.stdout.str() + result.stderr.str()


def test_a_file_that_cannot_be_collected_here_stops_the_session_as_ever(project, pytester):
    project.two_commits()
    project.write("tests/test_broken.py", "import nowhere\n")
    result = pytester.runpytest_inprocess("--gpuperf-ab", "base", *ON_CPU)
    assert result.ret == 2
    assert "launch" not in result.stdout.str()
