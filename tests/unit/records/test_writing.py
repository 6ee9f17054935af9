"""What is written can be read, replaces the old file at once, and never spoils what stood there."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from examples import a_baseline, a_run

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.records.files import read_baseline, read_run, update_baseline, write_baseline, write_run
from pytest_gpuperf.records.model import Baseline, Scope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "baselines" / "t4.json"


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_was_written_is_read(path: Path) -> None:
    write_baseline(path, a_baseline(0, 1))  # makes the folder
    assert read_baseline(path) == a_baseline(0, 1)
    run = msgspec.structs.replace(a_run(0, 1), scope=Scope(paths=("tests",), unmeasured={"b": "skipped", "a": "é"}))
    write_run(path.with_name("run.json"), run)
    again = read_run(path.with_name("run.json"))
    assert again.scope == run.scope
    assert again.sessions == run.sessions
    assert names_in(path.parent) == ["run.json", "t4.json"]  # nothing else is left


@pytest.mark.parametrize("version", [b"1", b"2"])
def test_a_file_of_an_older_version_is_read_and_version_3_is_written(path: Path, version: bytes) -> None:
    write_baseline(path, a_baseline(0, 1))
    write_run(path.with_name("run.json"), a_run(0, 1))
    for file, read, write in (
        (path, read_baseline, write_baseline),
        (path.with_name("run.json"), read_run, write_run),
    ):
        now = file.read_bytes()
        old = now.replace(b'"version": 3', b'"version": ' + version)
        assert old != now
        file.write_bytes(old)
        content = read(file)
        file.unlink()
        write(file, content)
        assert file.read_bytes() == now


def test_update_gets_what_is_kept_and_returns_what_is_kept_then(path: Path) -> None:
    seen: list[Baseline | None] = []

    def change(old: Baseline | None) -> Baseline:
        seen.append(old)
        return a_baseline(0, level=1 / 3)

    kept = update_baseline(path, change)
    assert kept.cases[0].series[0].medians[0] == 0.333333
    assert kept == update_baseline(path, change) == read_baseline(path)
    assert seen == [None, kept]


def test_a_change_that_fails_changes_nothing(path: Path) -> None:
    write_baseline(path, a_baseline(0))
    before = path.read_bytes()

    def refuse(old: Baseline | None) -> Baseline:
        raise UsageError("no")

    with pytest.raises(UsageError):
        update_baseline(path, refuse)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["t4.json"]
    assert update_baseline(path, lambda old: old or a_baseline(1)) == a_baseline(0)  # the lock is free


def test_a_spoilt_baseline_is_not_replaced(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"{")
    with pytest.raises(FileError, match="truncated"):
        update_baseline(path, lambda old: a_baseline(0))
    assert path.read_bytes() == b"{"


def test_the_mode_is_kept_and_a_new_file_has_the_usual_one(path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_baseline(path, a_baseline(0))
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o664)
        write_baseline(path, a_baseline(1))
        assert stat.S_IMODE(path.stat().st_mode) == 0o664
    finally:
        os.umask(umask)


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    write_baseline(path, a_baseline(0))
    link = tmp_path / "link.json"
    link.symlink_to(path)
    write_baseline(link, a_baseline(1))
    assert link.is_symlink()
    assert read_baseline(path) == a_baseline(1)
    assert names_in(tmp_path) == ["baselines", "link.json"]


def test_a_run_never_replaces_a_baseline_nor_a_baseline_a_run(path: Path) -> None:
    write_baseline(path, a_baseline(0))
    with pytest.raises(FileError, match="a baseline stands there, and a run would replace it"):
        write_run(path, a_run(0))
    assert read_baseline(path) == a_baseline(0)
    path.unlink()
    write_run(path, a_run(0))
    with pytest.raises(FileError, match="a run stands there, and a baseline would replace it"):
        write_baseline(path, a_baseline(0))
    write_run(path, a_run(1))
    assert read_run(path).sessions[0].id == "s1"
    path.write_text("half a file of an older writer")
    write_run(path, a_run(2))
    assert read_run(path).sessions[0].id == "s2"


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """A disk that is full after so many bytes."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_file(path: Path) -> None:
    write_baseline(path, a_baseline(0))
    before = path.read_bytes()
    with _file_size_limit(500), pytest.raises(FileError) as caught:
        write_baseline(path, a_baseline(0, 1))
    assert str(caught.value).startswith(f"{path}: cannot be written: File too large. What stood there is unchanged")
    assert "its disk has room" in str(caught.value)
    assert caught.value.exit_code == 4
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["t4.json"]


def test_what_cannot_be_written_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, what in {
        tmp_path: "this is a folder. Give the path of a file.",
        Path("/dev/full"): "this is no regular file. Give the path of a file.",
        file / "t4.json": f"File exists ({file}). What stood there is unchanged",
        tmp_path / ("x" * 300): "File name too long",
        Path("/proc/t4.json"): "No such file or directory",
        Path("a\x00b"): "embedded null",
    }.items():
        with pytest.raises(FileError) as caught:
            write_baseline(path, a_baseline(0))
        assert str(caught.value).startswith(f"{path}: cannot be written: ")
        assert what in str(caught.value)
    assert Path("/dev/full").is_char_device()
    assert names_in(tmp_path) == ["file"]


def test_a_folder_one_may_not_write_to(path: Path) -> None:
    write_baseline(path, a_baseline(0))
    path.parent.chmod(0o555)
    uid = os.geteuid()
    if uid == 0:  # root may write everywhere: be nobody for a while, in a folder that nobody may look into
        for folder in (path.parent, *path.parents[1:3]):
            folder.chmod(0o555)
        os.seteuid(65534)
    try:
        with pytest.raises(FileError, match="cannot be written: Permission denied"):
            write_baseline(path, a_baseline(1))
    finally:
        os.seteuid(uid)
        path.parent.chmod(0o755)
    assert read_baseline(path) == a_baseline(0)
    assert names_in(path.parent) == ["t4.json"]


def test_what_a_killed_writer_left_is_cleared(path: Path) -> None:
    write_baseline(path, a_baseline(0))
    path.with_name(".t4.json.tmp").write_text("half a basel")
    path.with_name(".t4.json.lock").touch()
    write_baseline(path, a_baseline(1))
    assert names_in(path.parent) == ["t4.json"]


def test_what_could_not_be_read_again_is_not_written(path: Path) -> None:
    write_run(path, a_run(0))
    for run, what in (
        (a_run(0, interval=float("inf")), "not written, since it could not be read again: $.cases[0].measurements[0]"),
        (a_run(0, clock="\udcff"), "is no UTF-8 text"),
    ):
        with pytest.raises(FileError) as caught:
            write_run(path, run)
        assert what in str(caught.value)
        assert read_run(path).sessions == a_run(0).sessions
