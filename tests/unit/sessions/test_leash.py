"""Processes end with their parent, whatever ended it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_gpuperf.sessions.die_with_parent import on_leash

# A test that starts a process of its own, as a data loader does, and never ends; it tells both numbers.
ENDLESS = """
import os, subprocess, time

def test_endless(gpuperf):
    child = subprocess.Popen(["sleep", "300"])
    with open(os.environ["NUMBERS"] + "~", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename(os.environ["NUMBERS"] + "~", os.environ["NUMBERS"])
    time.sleep(300)
"""
# It measures at first, slower every time; the process that confirms is the one that does not end.
CONFIRMED = """
import os, time

def test_slower(gpuperf):
    gpuperf(lambda: time.sleep(float(os.environ["TAKES"])))
    if "NUMBERS" in os.environ and os.getpid() != int(os.environ["FIRST"]):
        with open(os.environ["NUMBERS"] + "~", "w") as file:
            file.write(f"{os.getpid()}")
        os.rename(os.environ["NUMBERS"] + "~", os.environ["NUMBERS"])
        time.sleep(300)
"""
SETTINGS = "import os\nos.environ.setdefault('FIRST', str(os.getpid()))\n"
PARENT = """
import subprocess, sys, time
from pytest_gpuperf.sessions.die_with_parent import on_leash

PROGRAM = '''
import os, subprocess, time
child = subprocess.Popen(["sleep", "300"])
print(os.getpid(), child.pid, flush=True)
time.sleep(300)
'''
subprocess.Popen(on_leash([sys.executable, "-c", PROGRAM]), start_new_session=True)
time.sleep(300)
"""
ON_CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", "-p", "no:cacheprovider")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def numbers(tmp_path):
    """Where a measuring process tells its number; what is still alive at the end is ended."""
    file = tmp_path / "numbers"
    yield file
    if file.exists():
        for pid in map(int, file.read_text().split()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def started(command, folder, numbers, **environment):
    """Start a command, and wait until a process that it started measures."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "NUMBERS": str(numbers), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert until(lambda: numbers.exists() or process.poll() is not None)
    assert process.poll() is None, process.stdout.read().decode()
    measuring = [int(number) for number in numbers.read_text().split()]
    assert process.pid not in measuring
    return process, measuring


def ended(process, measuring, number):
    process.send_signal(number)
    process.wait(60)
    process.stdout.close()
    return until(lambda: not any(map(alive, measuring)), 20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "command", [("calibrate", "--into", "base.json"), ("selftest", "--parts", "gate", "--rounds", "3")]
)
def test_a_command_takes_its_session_and_the_sessions_processes_along(tmp_path, numbers, command, number):
    (tmp_path / "test_suite.py").write_text(ENDLESS)
    listening = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{listening}; from pytest_gpuperf.cli import main; sys.exit(main(sys.argv[1:]))"
    process, measuring = started([sys.executable, "-c", main, *command, "--", *ON_CPU], tmp_path, numbers)
    assert len(measuring) == 2
    assert ended(process, measuring, number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_pytest_that_is_confirming_takes_the_fresh_process_along(tmp_path, numbers, number):
    (tmp_path / "test_suite.py").write_text(CONFIRMED)
    (tmp_path / "conftest.py").write_text(SETTINGS)
    pytest_here = [sys.executable, "-m", "pytest", *ON_CPU]
    calibrate = [sys.executable, "-m", "pytest_gpuperf", "calibrate", "--sessions", "2", "--few", "--into", "base.json"]
    done = subprocess.run(
        [*calibrate, "--", *ON_CPU],
        cwd=tmp_path,
        env={**os.environ, "TAKES": "0.002"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    process, measuring = started([*pytest_here, "--gpuperf-compare", "base.json"], tmp_path, numbers, TAKES="0.008")
    assert ended(process, measuring, number)


def test_whoever_kills_the_parent_ends_the_program_and_its_children():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    program = [int(number) for number in parent.stdout.readline().split()]
    assert all(map(alive, program))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not any(map(alive, program)), 20)


def test_a_leash_that_is_killed_takes_the_program_along():
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    leash = subprocess.Popen(on_leash([sys.executable, "-c", program]), stdout=subprocess.PIPE, text=True)
    pid = int(leash.stdout.readline())
    leash.kill()
    leash.wait()
    leash.stdout.close()
    assert until(lambda: not alive(pid), 20)


def test_a_leash_leaves_a_group_alone_that_is_not_its_own():
    """A build belongs to the group of whoever started gpuperf: a script, or make."""
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    starting = f"""if True:
        import subprocess, sys
        from pytest_gpuperf.sessions.die_with_parent import on_leash
        leash = subprocess.Popen(on_leash([sys.executable, "-c", {program!r}]), stdout=subprocess.PIPE, text=True)
        pid = leash.stdout.readline().strip()
        leash.terminate()
        print(leash.wait(20), pid)
    """
    done = subprocess.run(
        [sys.executable, "-c", starting], start_new_session=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # it is of the same group, and goes on
    code, pid = map(int, done.stdout.split())
    assert code == 1
    assert until(lambda: not alive(pid), 20)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 6)", -6),
        ("import signal; raise SystemExit(signal.getsignal(signal.SIGTERM) != signal.SIG_DFL)", 0),
        ("import signal; raise SystemExit(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))", 0),
    ],
)
def test_a_program_on_a_leash_ends_as_it_would_without(program, code):
    assert subprocess.run(on_leash([sys.executable, "-c", program]), check=False).returncode == code


def test_a_leash_holds_no_end_of_the_programs_channels():
    read, write = os.pipe()
    program = f"import os, time; os.close({write}); print('closed', flush=True); time.sleep(300)"
    leash = subprocess.Popen(
        on_leash([sys.executable, "-c", program]), stdout=subprocess.PIPE, pass_fds=[write], start_new_session=True
    )
    os.close(write)
    leash.stdout.readline()
    assert select.select([read], [], [], 20)[0]  # nobody holds the other end
    assert os.read(read, 1) == b""
    os.close(read)
    os.killpg(leash.pid, signal.SIGKILL)
    leash.wait()
    leash.stdout.close()


def test_a_leash_whose_parent_is_gone_starts_nothing(tmp_path):
    command = on_leash([sys.executable, "-c", f"open({str(tmp_path / 'started')!r}, 'w')"])
    command[3] = "1"  # not this process
    assert subprocess.run(command, check=False).returncode == 1
    assert not (tmp_path / "started").exists()
