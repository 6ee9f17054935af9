"""The temporary folder and everything that runs in it are gone, however a comparison ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.revisions.side import on_leash
from pytest_gpuperf.revisions.workplace import VARIABLE, Ended, end_processes, workplace

# A process that leaves its parent's session and group, as a server does that was started by a test.
DAEMON = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"
LEASHED = """
import subprocess, sys, time
from pytest_gpuperf.revisions.side import on_leash
child = subprocess.Popen(on_leash([sys.executable, "-c", "import time; time.sleep(300)"]))
print(child.pid, flush=True)
time.sleep(300)
"""
CONDUCTOR = f"""
import os, subprocess, sys, time
from pathlib import Path
from pytest_gpuperf.revisions.side import on_leash
from pytest_gpuperf.revisions.workplace import VARIABLE, workplace

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
def conductor(temporary):
    """A conductor with a child on a leash, and the child's own, which left their group."""
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
    with pytest.raises(Ended, match=number.name), workplace(tmp_path / "project"):
        signal.raise_signal(number)
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_every_process_along(temporary, conductor, number):
    process, stray = conductor
    process.send_signal(number)
    assert process.wait(30) != 0
    assert until(lambda: not alive(stray))
    assert list(temporary.iterdir()) == []


def test_what_a_killed_conductor_left_is_swept_by_the_next(temporary, tmp_path, conductor):
    process, stray = conductor
    (left,) = temporary.iterdir()
    with workplace(tmp_path / "project"):
        assert left.exists()  # its conductor lives
        assert alive(stray)
    process.kill()
    process.wait()
    assert left.exists()
    with workplace(tmp_path / "project"):
        assert not left.exists()
        assert not alive(stray)
    assert list(temporary.iterdir()) == []


def test_a_process_on_a_leash_ends_with_its_parent(temporary):
    parent = subprocess.Popen([sys.executable, "-c", LEASHED], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    until(lambda: b"leash" not in Path(f"/proc/{child}/cmdline").read_bytes())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not alive(child))


def test_a_leash_whose_parent_is_gone_starts_nothing(tmp_path):
    command = on_leash([sys.executable, "-c", f"open({str(tmp_path / 'started')!r}, 'w')"])
    command[3] = "1"  # not this process
    assert subprocess.run(command, check=False).returncode == 1
    assert not (tmp_path / "started").exists()


def test_an_unfinished_folder_is_left_to_its_maker_for_an_hour(temporary, tmp_path):
    young, old = (temporary / f"gpuperf-ab-{os.getuid()}-{name}" for name in ("young", "old"))
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (0, 0))
    with workplace(tmp_path / "project"):
        assert young.exists()
        assert not old.exists()


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
