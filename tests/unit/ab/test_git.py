"""Reading a repository without touching it."""

from __future__ import annotations

import os

import pytest
from privileges import permissions_count

from pytest_gpuperf.ab.git import Repository, Revision, clean_environment, files_of
from pytest_gpuperf.errors import FileError, UsageError


@pytest.fixture
def repository(project):
    project.commit("one", {"work.py": "A = 1\n", "gone.py": "B = 1\n"})
    project.git("tag", "-a", "-m", "first", "v1.0")
    project.commit("two", {"work.py": "A = 2\n"})
    return Repository.around(project.root)


def test_a_revision_is_written_out_with_its_tags_and_a_clean_status(project, repository, tmp_path):
    before = project.fingerprint()
    folder = tmp_path / "out"
    repository.check_out(repository.resolve("v1.0"), folder)
    assert (folder / "work.py").read_text() == "A = 1\n"
    there = type(project).__new__(type(project))
    there.root = folder
    assert there.git("describe") == "v1.0"
    assert there.git("status", "--porcelain") == ""
    assert project.fingerprint() == before
    assert project.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize("name", ["main", "HEAD", "HEAD~1", "v1.0"])
def test_whatever_names_a_commit_is_resolved(project, repository, name):
    assert repository.resolve(name).commit == project.git("rev-parse", f"{name}^{{commit}}")


@pytest.mark.parametrize("name", ["nothing", "--all", "", "work.py", "main..main"])
def test_what_names_none_is_refused_with_help(repository, name):
    with pytest.raises(UsageError, match=r"names no commit .*git branch --all"):
        repository.resolve(name)


def test_a_label_names_the_revision_and_its_commit():
    assert Revision("main", "0123456789abcdef").label == "main (0123456789)"
    assert Revision("HEAD", "0123456789abcdef", dirty=True).label == "HEAD (0123456789+dirty)"
    assert Revision("01234567", "0123456789abcdef").label == "0123456789"


def test_the_working_state_is_copied_and_its_index_left_alone(project, repository, tmp_path):
    project.write(".gitignore", "*.log\n")
    project.commit("ignore")
    project.write("staged.py", "staged")
    project.git("add", "staged.py")
    project.write("work.py", "A = 3\n")
    project.write("new/module.py", "new")
    project.write("noise.log", "noise")
    project.write("new/__pycache__/module.pyc", "noise")
    (project.root / "gone.py").unlink()
    (project.root / "link.py").symlink_to("work.py")
    (project.root / "staged.py").chmod(0o755)
    before = project.fingerprint()
    folder = tmp_path / "out"
    repository.check_out(repository.resolve("HEAD"), folder)
    assert repository.copy_working_state(folder)
    assert files_of(folder, others=True) == [
        ".gitignore", "gone.py", "link.py", "new/module.py", "pytest.ini", "staged.py", "work.py",
    ]  # fmt: skip
    assert not (folder / "gone.py").exists()
    assert (folder / "work.py").read_text() == "A = 3\n"
    assert (folder / "link.py").readlink().name == "work.py"
    assert os.access(folder / "staged.py", os.X_OK)
    assert not repository.copy_working_state(folder)  # nothing is left to copy
    assert project.fingerprint() == before


def test_a_file_that_may_not_be_read_is_named(project, repository, tmp_path):
    folder = tmp_path / "out"
    repository.check_out(repository.resolve("HEAD"), folder)
    project.write("secret.txt", "new, and not git's business\n").chmod(0)
    with permissions_count(), pytest.raises(FileError, match=r"secret\.txt: it may not be read.* have git ignore it"):
        repository.copy_working_state(folder)


def test_a_file_may_become_a_link_or_take_a_folders_place(project, repository, tmp_path):
    project.commit("a folder", {"data/a.py": "1\n"})
    (project.root / "data/a.py").unlink()
    (project.root / "data").rmdir()
    (project.root / "data").write_text("a file now")
    (project.root / "work.py").unlink()
    (project.root / "work.py").symlink_to("data")
    folder = tmp_path / "out"
    repository.check_out(repository.resolve("HEAD"), folder)
    assert repository.copy_working_state(folder)
    assert (folder / "data").read_text() == "a file now"
    assert (folder / "work.py").is_symlink()


def test_a_clean_working_state_is_the_commit(repository, tmp_path):
    repository.check_out(repository.resolve("HEAD"), tmp_path / "out")
    assert not repository.copy_working_state(tmp_path / "out")


def test_a_shallow_clone_and_a_linked_work_tree_will_do(project, repository, tmp_path):
    clone = tmp_path / "clone"
    project.git("clone", "-q", "--depth", "1", f"file://{project.root}", str(clone))
    shallow = Repository.around(clone)
    shallow.check_out(shallow.resolve("HEAD"), tmp_path / "one")
    assert (tmp_path / "one/work.py").read_text() == "A = 2\n"
    project.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "HEAD~1")
    linked = Repository.around(tmp_path / "linked")
    linked.check_out(linked.resolve("HEAD"), tmp_path / "two")
    assert (tmp_path / "two/work.py").read_text() == "A = 1\n"


def test_a_hooks_environment_does_not_lead_elsewhere(project, repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert repository.resolve("HEAD").commit == repository.resolve("main").commit
    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & clean_environment().keys()


def test_outside_git_there_are_no_revisions(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is in no git work tree"):
        Repository.around(tmp_path)


def test_without_git_the_message_says_so(project, repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git could not be started"):
        files_of(project.root)


def test_what_changed_since_a_commit(project, repository, tmp_path):
    project.write(".gitignore", "*.log\n")
    project.write("new.py", "C = 1\n")
    project.write("run.log", "ignored")
    (project.root / "gone.py").unlink()
    before = project.fingerprint()
    assert repository.changed_since("v1.0", tmp_path) == [".gitignore", "gone.py", "new.py", "work.py"]
    assert repository.changed_since("HEAD", tmp_path) == [".gitignore", "gone.py", "new.py"]
    assert project.fingerprint() == before


def test_a_change_of_the_same_size_in_the_second_of_the_commit_is_seen(project, repository, tmp_path):
    project.git("config", "core.trustctime", "false")
    file, index = project.root / "work.py", project.root / ".git/index"
    written = file.stat().st_mtime_ns
    file.write_text("A = 3\n")
    os.utime(file, ns=(written, written))
    os.utime(index, ns=(written, written))
    assert repository.changed_since("HEAD", tmp_path) == ["work.py"]


def test_a_remote_that_does_not_answer_or_lacks_a_commit_is_told_without_its_address(project, repository, tmp_path):
    project.git("remote", "add", "origin", "file:///nowhere/secret")
    with pytest.raises(UsageError, match=r"^0000000000 is not in this clone, and no remote gave it") as refused:
        repository.fetched("0" * 40, tmp_path / "fetched", {})
    assert "secret" not in str(refused.value)
    assert not repository.has("0" * 40)
    assert repository.has("v1.0")
