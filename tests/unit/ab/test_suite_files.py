"""Which files are tests, and how HEAD's take the place of BASE's."""

from __future__ import annotations

import pytest

from pytest_gpuperf.ab.checkout import SuiteFiles, put_tests
from pytest_gpuperf.ab.git import Repository

NOTHING_GIVEN = SuiteFiles(frozenset())


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("tests/test_perf.py", True),
        ("tests/data/model.json", True),
        ("src/work/test_inside.py", True),
        ("src/work/tests/data.bin", True),
        ("conftest.py", True),
        ("src/work/conftest.py", True),
        ("pyproject.toml", True),
        ("src/work/pyproject.toml", False),
        ("src/work/__init__.py", False),
        ("src/work/testing.py", False),
        ("helper.py", False),
    ],
)
def test_names_and_folders_tell(name, test):
    assert (name in NOTHING_GIVEN) is test


@pytest.mark.parametrize(
    ("arguments", "also", "folders"),
    [
        (["-k", "resnet"], [], set()),
        (["perf", "perf/fast/test_x.py::test_y[1]"], [], {"perf", "perf/fast/test_x.py"}),
        (["speed"], [], {"speed"}),
        (["."], [], set()),
        (["src/work"], [], set()),
        (["package"], [], set()),
        (["nowhere", ""], [], set()),
        (["/etc"], [], set()),
        ([], ["package/inputs"], {"package/inputs"}),
        ([], ["no/such"], set()),
    ],
)
def test_a_folder_that_pytest_is_given_belongs_to_the_tests_unless_it_is_a_package(project, arguments, also, folders):
    for name in ("perf/fast/test_x.py", "perf/__init__.py", "speed/shapes.py", "src/work/__init__.py",
                 "package/__init__.py", "package/inputs/a.txt"):  # fmt: skip
        project.write(name, "")
    assert SuiteFiles.of(project.root, ".", arguments, also).folders == folders


def test_arguments_are_read_where_pytest_is_started(project):
    project.write("sub/speed/test_x.py", "")
    assert SuiteFiles.of(project.root, "sub", ["speed"], []).folders == {"sub/speed"}


def test_heads_tests_replace_the_others_and_nothing_else(project, tmp_path):
    project.commit("one", {"work.py": "1", "tests/test_old.py": "old", "tests/test_both.py": "old"})
    project.git("branch", "base")
    project.git("rm", "-q", "tests/test_old.py")
    project.commit("two", {"work.py": "2", "tests/test_both.py": "new", "tests/deep/shapes.py": "new"})
    repository = Repository.around(project.root)
    for name in ("base", "main"):
        repository.check_out(repository.resolve(name), tmp_path / name)
    (tmp_path / "main/tests/test_uncommitted.py").write_text("new")
    (tmp_path / "main/tests/test_both.py").rename(tmp_path / "main/tests/test_renamed.py")
    put_tests(NOTHING_GIVEN, tmp_path / "main", tmp_path / "base")
    found = {str(f.relative_to(tmp_path / "base")): f.read_text() for f in (tmp_path / "base").rglob("*.py")}
    assert found == {
        "work.py": "1",
        "tests/test_renamed.py": "new",
        "tests/deep/shapes.py": "new",
        "tests/test_uncommitted.py": "new",
    }
