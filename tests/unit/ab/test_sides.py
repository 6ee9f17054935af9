"""What each side of a comparison runs: its own files, in its own environment, and never one code twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from revisions_of import SPIN, words

from pytest_gpuperf.ab.controller import Comparing, compare_revisions
from pytest_gpuperf.errors import SessionError, UsageError


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda p: p.two_commits(note="one"), None),
        (lambda p: (p.two_commits(), p.git("reset", "-q", "--hard", "base")), "are the same on both sides"),
        (
            lambda p: p.two_commits(suite="def test_x(gpuperf): gpuperf(sum, range(999))\n"),
            "the tests import nothing of either revision's files",
        ),
        (
            lambda p: (p.write("conftest.py", f"import sys\nsys.path.insert(0, {str(p.root)!r})\n"), p.two_commits()),
            "base .* imported work from .*project/work/__init__.py, and not from its own files.*--setup",
        ),
    ],
    ids=["a comment", "the same commit", "nothing of its own", "somewhere else"],
)
def test_measuring_one_code_twice_is_refused(project, compared, prepare, said):
    prepare(project)
    if said is None:
        assert compared().exit_code in {0, 7}
        return
    with pytest.raises(UsageError, match=said):
        compared()


def test_the_same_code_may_be_measured_twice_where_that_is_meant(project, compared):
    project.two_commits()
    project.git("reset", "-q", "--hard", "base")
    judged = compared(allow_same=True)
    assert words(judged).keys() == {"test_spin"}
    assert judged.comparison.sides.imported[-1] == "both sides measured the same code (--allow-same)"


def test_files_that_are_no_python_may_make_the_difference(project, compared):
    project.write("work/kernel.cu", "one")
    project.two_commits()
    project.git("checkout", "-q", "base", "--", "work/__init__.py")
    project.write("work/kernel.cu", "two")
    judged = compared()
    assert judged.comparison.sides.imported[-1] == "the imported files are the same; other files differ: work/kernel.cu"


# Without pip, which takes its time: what it would do is done by hand.
OWN_ENVIRONMENT = "python -m venv --without-pip .venv && cp -r work .venv/lib/python3*/site-packages/ && rm -r work"


def test_each_side_may_have_an_environment_of_its_own_and_is_lent_the_plugin(project, compared):
    project.two_commits()
    judged = compared("--import-mode=importlib", setup=OWN_ENVIRONMENT)
    assert words(judged).keys() == {"test_spin"}
    assert "site-packages/work/__init__.py" in judged.comparison.sides.imported[-1]


BROKEN_INTERPRETER = "mkdir -p .venv/bin; echo '#!/bin/false' > .venv/bin/python; chmod +x .venv/bin/python"
ANOTHER_PLUGIN = (
    "python -m venv --without-pip .venv && "
    f"cp -r {Path(__file__).parents[3]}/pytest_gpuperf .venv/lib/python3*/site-packages/"
)


@pytest.mark.parametrize(
    ("setup", "kind", "said"),
    [
        ("echo building $GPUPERF_SIDE; false", SessionError, r"exit code 1 for base .*(?s:.*)building base"),
        (BROKEN_INTERPRETER, SessionError, "does not run"),
        (ANOTHER_PLUGIN, UsageError, "measures with another pytest-gpuperf"),
    ],
    ids=["fails", "makes a broken interpreter", "installs another plugin"],
)
def test_a_setup_that_does_not_do(project, compared, setup, kind, said):
    project.two_commits()
    with pytest.raises(kind, match=said):
        compared(setup=setup)


def test_a_file_of_the_tests_that_is_not_there_is_refused(project, compared):
    project.two_commits()
    with pytest.raises(UsageError, match=r"--also data: HEAD \(.*\) has no such file or folder"):
        compared(also=("data",))


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("-n", "2"), UsageError, "pytest-xdist would run tests at once"),
        (("--no-such-option",), UsageError, "unrecognized arguments: --no-such-option"),
        (("-p", "no:gpuperf"), UsageError, "unrecognized arguments: --gpuperf-device"),
    ],
)
def test_what_pytest_refuses_is_told(project, compared, arguments, kind, said):
    project.two_commits()
    with pytest.raises(kind, match=said):
        compared(*arguments)


def test_a_process_that_dies_before_its_tests_are_known_ends_the_comparison(project, compared):
    project.write("conftest.py", "import os\nos.abort()\n")
    project.two_commits()
    with pytest.raises(SessionError, match="was ended by SIGABRT before it had collected"):
        compared()


def test_no_tests_is_nothing_compared(project, compared):
    project.two_commits()
    assert compared("-k", "nothing").exit_code == 6


def test_places_in_the_users_folder_mean_the_sides_own(project, compared, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project.root / "more"), "/nowhere"]))
    project.write("more/extra.py", "VALUE = 1\n")
    project.two_commits(suite="import extra, work\n\ndef test_spin(gpuperf):\n    gpuperf(work.spin)\n")
    judged = compared(str(project.root / "tests"), f"--rootdir={project.root}")
    assert words(judged).keys() == {"test_spin"}
    assert "more/extra.py" in judged.comparison.sides.imported[0]


def test_another_folder_of_sources(project, compared):
    project.two_commits()
    project.git("mv", "work", "python_work")
    (project.root / "python").mkdir()
    project.git("mv", "python_work", "python/work")
    project.commit("moved")
    project.git("branch", "-f", "base")
    project.write("python/work/__init__.py", SPIN.format(milliseconds=1) + "# changed\n")
    judged = compared(sources=("python",))
    assert judged.comparison.sides.imported[-1] == "of 1 imported files 1 differ: python/work/__init__.py"
    with pytest.raises(UsageError, match="--source elsewhere: neither revision has such a folder"):
        compared(sources=("elsewhere",))


def test_a_folder_that_only_one_revision_has_cannot_be_started_in(project, temporary):
    project.two_commits()
    project.write("later/notes.txt", "")
    with pytest.raises(UsageError, match="has no folder later"):
        compare_revisions(Comparing(base="base", folder=project.root / "later"))


def test_this_plugin_cannot_be_measured_by_itself(project, compared):
    project.write("pytest_gpuperf/__init__.py", "")
    project.two_commits()
    with pytest.raises(UsageError, match="holds pytest_gpuperf itself"):
        compared()
