"""No link is followed, whichever way a path changed between a link, a folder and a file."""

from __future__ import annotations

import os
import shutil

import pytest

from pytest_gpuperf.ab.checkout import Preparation, SuiteFiles, prepare, put_tests
from pytest_gpuperf.ab.git import Repository, files_of
from pytest_gpuperf.ab.tree import Tree
from pytest_gpuperf.errors import SessionError

# One path, as it may stand in one revision and in the next.
STATES = ("file", "folder", "link", "dangling", "nothing")
NOTHING_GIVEN = SuiteFiles(frozenset())


@pytest.fixture
def outside(tmp_path):
    """A folder that links lead to; nothing in it changes."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "test_a.py").write_text("precious")
    (folder / "precious").write_text("precious")
    folder.chmod(0o750)
    yield folder
    assert {f.name: f.read_text() for f in folder.iterdir()} == {"test_a.py": "precious", "precious": "precious"}
    assert folder.stat().st_mode & 0o777 == 0o750


def stand(path, state, outside, text):
    """Let a path be a file, a folder with files, a link to a folder, a link to nothing; or not be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if state == "file":
        path.write_text(text)
    elif state == "folder":
        (path / "deep").mkdir(parents=True)
        (path / "test_a.py").write_text(text)
        (path / "deep/test_b.py").write_text(text)
    elif state == "link":
        path.symlink_to(outside)
    elif state == "dangling":
        path.symlink_to(outside / "nowhere")


def seen(root):
    """Every file and link of a tree; a folder only where it is empty, since git does not know such."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if ".git" not in name.parts and (path.is_symlink() or not path.is_dir() or not any(path.iterdir())):
            found[str(name)] = str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_text()
    return found


def checked_out(repository, name, folder):
    repository.check_out(repository.resolve(name), folder)
    return folder


@pytest.mark.parametrize("place", ["data", "above/data"])
@pytest.mark.parametrize("now", STATES)
@pytest.mark.parametrize("before", STATES)
def test_the_working_state_is_right_however_a_path_changed(project, outside, tmp_path, before, now, place):
    stand(project.root / place, before, outside, "one")
    project.commit("one")
    stand(project.root / place, now, outside, "two")
    repository = Repository.around(project.root)
    folder = checked_out(repository, "HEAD", tmp_path / "out")
    clean = seen(folder)
    assert repository.copy_working_state(folder) is (seen(folder) != clean)
    assert seen(folder) == {name: text for name, text in seen(project.root).items() if text is not False}
    assert not repository.copy_working_state(folder)


@pytest.mark.parametrize("place", ["tests", "src/tests/data", "perf", "src/test_it.py"])
@pytest.mark.parametrize("now", STATES)
@pytest.mark.parametrize("before", STATES)
def test_heads_tests_are_right_however_a_path_changed(project, outside, tmp_path, before, now, place):
    project.write("src/code.py", "one")
    stand(project.root / place, before, outside, "one")
    project.commit("one")
    project.git("branch", "base")
    project.write("src/code.py", "two")
    stand(project.root / place, now, outside, "two")
    project.commit("two")
    repository = Repository.around(project.root)
    base, head = (checked_out(repository, name, tmp_path / name) for name in ("base", "main"))
    put_tests(SuiteFiles(frozenset({"perf"})), head, base)
    if place == "tests" and "file" in {before, now}:  # a program may have that name
        assert {k: v for k, v in seen(base).items() if "tests" not in k} == {
            k: v for k, v in (seen(head) | {"src/code.py": "one"}).items() if "tests" not in k
        }
    else:
        assert seen(base) == seen(head) | {"src/code.py": "one"}


def test_a_link_that_a_folder_replaced_is_not_written_through(project, outside, tmp_path):
    """The first of the two ways in which files outside the repository were overwritten."""
    project.root.joinpath("data").symlink_to(outside)
    project.commit("one")
    (project.root / "data").unlink()
    project.write("data/precious", "mine")
    repository = Repository.around(project.root)
    folder = checked_out(repository, "HEAD", tmp_path / "out")
    assert repository.copy_working_state(folder)
    assert (folder / "data/precious").read_text() == "mine"


def test_tests_are_not_written_through_a_link_of_the_base(project, outside, tmp_path):
    """The second."""
    project.root.joinpath("perf").symlink_to(outside)
    project.commit("one")
    project.git("branch", "base")
    project.git("rm", "-q", "perf")
    project.commit("two", {"perf/test_a.py": "mine"})
    repository = Repository.around(project.root)
    base, head = (checked_out(repository, name, tmp_path / name) for name in ("base", "main"))
    put_tests(NOTHING_GIVEN, head, base)
    assert (base / "perf/test_a.py").read_text() == "mine"


def test_a_link_that_setup_made_is_not_followed(project, outside, tmp_path):
    project.commit("one", {"tests/deep/test_a.py": "mine"})
    repository = Repository.around(project.root)
    base, head = (checked_out(repository, "HEAD", tmp_path / name) for name in ("base", "head"))
    shutil.rmtree(base / "tests")
    (base / "tests").symlink_to(outside.parent)
    (tmp_path / "deep").symlink_to(outside)
    put_tests(NOTHING_GIVEN, head, base)
    assert (base / "tests/deep/test_a.py").read_text() == "mine"


def test_a_file_with_another_name_elsewhere_is_replaced_and_not_written_to(tmp_path):
    source, target, other = tmp_path / "source", tmp_path / "target", tmp_path / "other"
    for folder in (source, target):
        folder.mkdir()
    other.write_text("precious")
    os.link(other, target / "file")
    (source / "file").write_text("new")
    assert Tree(target).put("file", Tree(source))
    assert (target / "file").read_text() == "new"
    os.link(other, target / "written")
    Tree(target).write("written", "new")
    assert other.read_text() == "precious"


def test_a_pipe_counts_as_nothing(project, tmp_path):
    project.commit("one", {"data": "a file\n"})
    (project.root / "data").unlink()
    os.mkfifo(project.root / "data")
    repository = Repository.around(project.root)
    folder = checked_out(repository, "HEAD", tmp_path / "out")
    assert repository.copy_working_state(folder)
    assert not (folder / "data").exists()
    assert Tree(project.root).kind("data") is None


def test_what_a_copy_may_and_when_it_was_written_is_kept(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        folder.mkdir()
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    os.utime(source / "run", (1000, 1000))
    Tree(target).put("run", Tree(source))
    assert ((target / "run").stat().st_mode & 0o777, (target / "run").stat().st_mtime) == (0o755, 1000)


@pytest.mark.parametrize("name", ["../precious", "a/../../precious", "/precious"])
def test_a_name_that_leads_out_of_the_tree_is_refused(tmp_path, name):
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="no name inside a tree"):
        Tree(tmp_path / "a").remove(name)


def test_names_that_differ_in_case_alone_are_two_files(project, tmp_path):
    project.write("probe", "")
    if (project.root / "PROBE").exists():
        pytest.skip("this file system takes both for one")
    project.commit(
        "one", {"README": "upper", "readme": "lower", "tests/test_A.py": "upper", "tests/test_a.py": "lower"}
    )
    project.git("branch", "base")
    project.commit("two", {"README": "upper two", "tests/test_A.py": "upper two", "tests/test_a.py": "lower two"})
    project.write("readme", "lower three")
    (project.root / "tests/test_a.py").unlink()
    repository = Repository.around(project.root)
    base, head = (checked_out(repository, name, tmp_path / name) for name in ("base", "main"))
    assert repository.copy_working_state(head)
    assert (seen(head)["README"], seen(head)["readme"]) == ("upper two", "lower three")
    put_tests(NOTHING_GIVEN, head, base)
    assert {k: v for k, v in seen(base).items() if k not in {"pytest.ini", "probe"}} == {
        "README": "upper",
        "readme": "lower",
        "tests/test_A.py": "upper two",
    }


@pytest.fixture
def library(project, tmp_path):
    """A project with a submodule `library`, which has another commit on the branch `base`, and `tests/inputs`."""
    other = type(project)(tmp_path / "origin")
    other.commit("one", {"code.py": "one", "gone.py": "one"})
    allowed = ("-c", "protocol.file.allow=always")
    for name in ("library", "tests/inputs"):
        project.git(*allowed, "submodule", "--quiet", "add", f"file://{other.root}", name)
    project.commit("one")
    project.git("branch", "base")
    other.commit("two", {"code.py": "two"})
    for name in ("library", "tests/inputs"):
        project.git(*allowed, "-C", name, "pull", "-q")
    project.commit("two")
    return project


def test_a_submodule_stands_at_each_revisions_own_commit(library, tmp_path):
    library.git("config", "submodule.recurse", "true")  # git would write into the submodules' settings
    before = library.fingerprint()
    repository = Repository.around(library.root)
    base, head = (checked_out(repository, name, tmp_path / name) for name in ("base", "main"))
    assert not repository.copy_working_state(head)
    assert ((base / "library/code.py").read_text(), (head / "library/code.py").read_text()) == ("one", "two")
    assert library.fingerprint() == before
    assert library.git("-C", "library", "status", "--porcelain") == ""


def test_what_is_changed_in_a_submodule_is_of_the_working_state(library, tmp_path):
    library.write("library/code.py", "three")
    library.write("library/new.py", "three")
    (library.root / "library/gone.py").unlink()
    repository = Repository.around(library.root)
    base, head = (checked_out(repository, name, tmp_path / name) for name in ("base", "main"))
    assert repository.copy_working_state(head)
    there = {k: v for k, v in seen(head / "library").items() if k != "pytest.ini"}
    assert there == {"code.py": "three", "new.py": "three"}
    assert "library/new.py" in files_of(head, others=True)
    put_tests(NOTHING_GIVEN, head, base)
    assert ((base / "library/code.py").read_text(), (base / "tests/inputs/code.py").read_text()) == ("one", "two")


def test_a_submodule_that_is_not_there_or_lacks_the_commit_is_an_empty_folder(library, tmp_path):
    clone = type(library)(tmp_path / "clone")
    shutil.rmtree(clone.root)
    library.git("clone", "-q", f"file://{library.root}", str(clone.root))
    repository = Repository.around(clone.root)
    head = checked_out(repository, "HEAD", tmp_path / "empty")
    assert not repository.copy_working_state(head)
    assert list((head / "library").iterdir()) == []
    clone.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--depth", "1", "library")
    shallow = checked_out(repository, "origin/base", tmp_path / "shallow")
    assert list((shallow / "library").iterdir()) == []  # its commit was not fetched
    (clone.root / "library/new.py").write_text("new")
    assert repository.copy_working_state(head)  # into the empty folder
    assert (head / "library/code.py").read_text() == "two"


def test_a_submodule_may_become_a_link_a_file_or_nothing(library, outside, tmp_path):
    repository = Repository.around(library.root)
    for number, state in enumerate(("link", "file", "dangling")):
        stand(library.root / "library", state, outside, "two")
        head = checked_out(repository, "HEAD", tmp_path / str(number))
        assert repository.copy_working_state(head)
        assert seen(head)["library"] == seen(library.root)["library"]
    shutil.rmtree(library.root / "tests")
    head = checked_out(repository, "HEAD", tmp_path / "none")
    assert repository.copy_working_state(head)
    assert "tests/inputs/code.py" not in seen(head)


def test_a_repository_that_is_no_submodule_is_not_copied(project, tmp_path):
    project.commit("one")
    type(project)(project.root / "nested").commit("one", {"code.py": "1"})
    repository = Repository.around(project.root)
    head = checked_out(repository, "HEAD", tmp_path / "out")
    assert not repository.copy_working_state(head)


def test_setup_does_not_install_into_an_environment_that_a_link_leads_to(project, tmp_path, outside):
    project.two_commits()
    (project.root / ".venv").symlink_to(outside)  # which `.venv/` in .gitignore does not hide
    place = tmp_path / "place"
    place.mkdir()
    repository = Repository.around(project.root)
    sides = prepare(
        repository, "base", "HEAD", project.root, place, Preparation(setup="mkdir .venv && touch .venv/new")
    )
    assert all((side.tree / ".venv/new").exists() for side in sides[:2])


def test_an_environment_elsewhere_is_lent_nothing(project, tmp_path):
    project.two_commits()
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    setup = f"python -m venv --without-pip {elsewhere} && ln -s {elsewhere} .venv"
    repository = Repository.around(project.root)
    with pytest.raises(SessionError, match=r"\.venv of base .* leads to .*elsewhere.* Let --setup make an environment"):
        prepare(repository, "base", "HEAD", project.root, place, Preparation(setup=setup))
    assert list(elsewhere.rglob("*gpuperf*")) == []
