"""The temporary folder and everything that runs in it are gone, however a comparison ends."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_gpuperf.ab.workplace import VARIABLE, end_processes, workplace
from pytest_gpuperf.endings import AskedToEnd
from pytest_gpuperf.errors import UsageError

# A process that leaves its parent's session and group, as a server does that was started by a test.
DAEMON = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"
CONDUCTOR = f"""
import os, subprocess, sys, time
from pathlib import Path
from pytest_gpuperf.sessions.die_with_parent import on_leash
from pytest_gpuperf.ab.workplace import VARIABLE, workplace

with workplace(Path("/nowhere")) as place:
    (place / "file").touch()
    environment = os.environ | dict([(VARIABLE, str(place))])
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {DAEMON!r}]); time.sleep(300)"
    subprocess.Popen(on_leash([sys.executable, "-c", child]), env=environment)
    time.sleep(300)
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def controller(temporary):
    """A controller with a child on a leash, and the child's own, which left their group."""
    process = subprocess.Popen([sys.executable, "-c", CONDUCTOR], stdout=subprocess.PIPE, text=True)
    stray = int(process.stdout.readline())
    yield process, stray
    process.kill()
    process.wait()
    process.stdout.close()
    if alive(stray):
        os.kill(stray, signal.SIGKILL)


def test_a_folder_outside_the_repository_and_nothing_of_it_afterwards(temporary, tmp_path):
    with workplace(tmp_path / "project") as place:
        assert place.parent == temporary
        (place / "locked").mkdir()
        (place / "locked/file").touch()
        (place / "locked").chmod(0o500)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(temporary, tmp_path, error):
    with pytest.raises(error), workplace(tmp_path / "project"):
        raise error
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_end_is_an_exception_that_clears_up(temporary, tmp_path, number):
    before = signal.getsignal(number)
    with pytest.raises(AskedToEnd, match=number.name), workplace(tmp_path / "project"):
        signal.raise_signal(number)
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_every_process_along(temporary, controller, number):
    process, stray = controller
    process.send_signal(number)
    assert process.wait(30) != 0
    assert until(lambda: not alive(stray))
    assert list(temporary.iterdir()) == []


def test_what_a_killed_conductor_left_is_swept_by_the_next(temporary, tmp_path, controller):
    process, stray = controller
    (left,) = temporary.iterdir()
    with workplace(tmp_path / "project"):
        assert left.exists()  # its controller lives
        assert alive(stray)
    process.kill()
    process.wait()
    assert left.exists()
    with workplace(tmp_path / "project"):
        assert not left.exists()
        assert not alive(stray)
    assert list(temporary.iterdir()) == []


def test_an_unfinished_folder_is_left_to_its_maker_for_an_hour(temporary, tmp_path):
    young, old = (temporary / f"gpuperf-ab-{os.getuid()}-{name}" for name in ("young", "old"))
    for folder in (young, old):
        folder.mkdir(0o700)
    os.utime(old, (0, 0))
    with workplace(tmp_path / "project"):
        assert young.exists()
        assert not old.exists()


# Makes folders and clears what was left, over and over; what it holds itself must stay.
RESTLESS = """
from pathlib import Path
from pytest_gpuperf.ab.workplace import workplace

for _ in range(150):
    with workplace(Path("/nowhere")) as place:
        (place / "file").touch()
        assert (place / "lock").exists()
"""


def test_several_at_once_leave_each_others_folders_alone(temporary):
    several = [subprocess.Popen([sys.executable, "-c", RESTLESS], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[1] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0, 0], said
    assert list(temporary.iterdir()) == []


def left_behind(temporary, name="left", *, lock=True):
    """A folder as a killed controller leaves it."""
    folder = temporary / f"gpuperf-ab-{os.getuid()}-{name}"
    folder.mkdir(0o700)
    if lock:
        (folder / "lock").touch()
    return folder


def test_only_a_private_folder_of_ours_is_swept(temporary, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir(0o700)
    (outside / "lock").touch()
    (outside / "precious").touch()
    planted = left_behind(temporary, "planted")
    planted.chmod(0o755)
    os.utime(planted, (0, 0))
    linked = temporary / f"gpuperf-ab-{os.getuid()}-linked"
    linked.symlink_to(outside)
    with workplace(tmp_path / "project"):
        pass
    assert (planted / "lock").exists()
    assert linked.is_symlink()
    assert (outside / "precious").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
@pytest.mark.parametrize("given", ["folder", "lock"])
def test_what_belongs_to_somebody_else_is_not_swept(temporary, tmp_path, given):
    folder = left_behind(temporary)
    os.chown(folder if given == "folder" else folder / "lock", 65534, 65534)
    with workplace(tmp_path / "project"):
        pass
    assert folder.exists()


@pytest.mark.parametrize("lock", ["fifo", "link", "folder"])
def test_a_lock_that_is_no_file_is_neither_waited_for_nor_followed(temporary, tmp_path, lock):
    folder, target = left_behind(temporary, lock=False), tmp_path / "target"
    target.touch(0o600)
    if lock == "fifo":
        os.mkfifo(folder / "lock")
    elif lock == "link":
        (folder / "lock").symlink_to(target)
    else:
        (folder / "lock").mkdir()
    sweeping = "import pathlib, sys; from pytest_gpuperf.scratch import sweep; sweep('ab', pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", sweeping, str(temporary)], check=True, timeout=60)
    assert folder.exists()


@pytest.fixture
def hard_to_remove(monkeypatch):
    """Removing fails once, as for somebody who is not root and has read-only folders."""
    remove, calls = shutil.rmtree, []

    def rmtree(path, *arguments, **named):
        calls.append(path)
        if len(calls) > 1:
            remove(path, *arguments, **named)

    monkeypatch.setattr(shutil, "rmtree", rmtree)


def test_making_folders_writable_changes_nothing_outside(temporary, tmp_path, hard_to_remove):
    outside, secret = tmp_path / "outside", tmp_path / "secret"
    outside.mkdir(0o500)
    secret.touch(0o400)
    temporary.chmod(0o755)
    with workplace(tmp_path / "project") as place:
        (place / "deep/er").mkdir(parents=True)
        (place / "deep/folder").symlink_to(outside)
        (place / "deep/er/file").symlink_to(secret)
        os.link(secret, place / "deep/er/same")
        (place / "deep/er").chmod(0o500)
        (place / "deep").chmod(0o500)
    assert list(temporary.iterdir()) == []
    assert [stat.S_IMODE(path.stat().st_mode) for path in (outside, secret, temporary)] == [0o500, 0o400, 0o755]


def test_other_processes_are_left_alone(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"], env={**os.environ, VARIABLE: f"{tmp_path}/other"}
    )
    time.sleep(0.1)
    end_processes(tmp_path)
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_temporary_folder_inside_the_repository_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with workplace(tmp_path) as place:
        assert not place.is_relative_to(tmp_path)
    with pytest.raises(UsageError, match="Every temporary folder lies inside /"), workplace(Path("/")):
        pass
