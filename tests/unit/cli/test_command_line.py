"""The command as a whole: light, and with pytest's exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from command import gpuperf
from examples import a_baseline, a_run

from pytest_gpuperf.cli import main
from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.reports.formats import FORMATS


def test_help_names_every_command(tmp_path):
    done = gpuperf("--help", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    for name in ("compare", "accept", "calibrate", "show", "waive", "doctor"):
        assert f"\n    {name}" in done.stdout


def test_every_format_of_a_report_can_be_chosen(tmp_path):
    """Their names stand in the parser, which loads no report."""
    for command in ("compare", "merge", "ab"):
        assert f"--format {{{','.join(FORMATS)}}}" in gpuperf(command, "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize("arguments", [("banana",), ("show",), ("show", "x", "--colour")])
def test_a_wrong_command_line_ends_as_pytest_s_does(tmp_path, arguments):
    done = gpuperf(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "gpuperf: error: " in done.stderr


def test_alone_it_says_what_it_can_do(tmp_path):
    done = gpuperf(cwd=tmp_path, bare=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == gpuperf("--help", cwd=tmp_path).stdout


def test_it_says_which_one_it_is(tmp_path):
    done = gpuperf("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["gpuperf", f"{version('pytest-gpuperf')},"])


def test_options_may_stand_between_arguments(tmp_path, capsys):
    write_run(tmp_path / "run.json", a_run(0))
    write_baseline(tmp_path / "base.json", a_baseline(*range(5)))
    arguments = ["why", str(tmp_path / "run.json"), "--baseline", str(tmp_path / "base.json"), "test_x.py"]
    assert main(arguments) == 0
    between = capsys.readouterr().out
    assert main([*arguments[:2], *arguments[4:], *arguments[2:4]]) == 0
    assert capsys.readouterr().out == between


READERS = (
    ("show", "FILE"),
    ("ratios", "FILE", "--over", "batch"),
    ("plot", "FILE", "--into", "charts"),
    ("compare", "FILE", "FILE"),
    ("import", "pytest-benchmark", "FILE", "--into", "run.json"),
)


@pytest.mark.parametrize("arguments", READERS, ids=lambda a: a[0])
@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_what_never_ends_or_fits_no_memory_is_not_read(tmp_path, arguments, kind):
    file = tmp_path / "file.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.touch()
        os.truncate(file, 2**31)
    done = gpuperf(*(str(file) if a == "FILE" else a for a in arguments), cwd=tmp_path)
    assert done.returncode == 4
    assert re.search(r"file\.json: (this is no regular file|it is larger than 1024 MiB)", done.stderr)


def command(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "pytest_gpuperf", *arguments], stderr=subprocess.PIPE, text=True, check=False, **settings
    )


def test_a_full_disk_behind_its_output_is_one_clear_error(tmp_path):
    write_run(tmp_path / "run.json", a_run(0))
    with Path("/dev/full").open("w") as full:
        done = command("show", "run.json", cwd=tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (4, "gpuperf: error: No space left on device\n")


def test_a_closed_output_is_nothing_to_complain_of(tmp_path):
    write_run(tmp_path / "run.json", a_run(0))
    closed = "exec 1>&-; exec " + shlex.join([sys.executable, "-m", "pytest_gpuperf", "show", "run.json"])
    done = subprocess.run(["sh", "-c", closed], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_one_clear_error(tmp_path):
    (tmp_path / "gone").mkdir()
    where = f"cd {tmp_path}/gone && rmdir ../gone && exec "
    for words in (["show", "run.json"], ["calibrate", "--into", "base.json"], ["ab", "main"], ["doctor"]):
        run = where + shlex.join([sys.executable, "-m", "pytest_gpuperf", *words])
        done = subprocess.run(["sh", "-c", run], capture_output=True, text=True, check=False)
        assert done.returncode in {0, 3, 4}, done.stderr
        assert "Traceback" not in done.stderr.split("last lines")[0]
        (tmp_path / "gone").mkdir(exist_ok=True)


@pytest.mark.parametrize("columns", ["1", "0", "-3", "x", "99999999"])
def test_any_width_of_terminal_will_do(tmp_path, monkeypatch, capsys, columns):
    write_run(tmp_path / "run.json", a_run(0))
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["show", str(tmp_path / "run.json")]) == 0
    assert len(max(capsys.readouterr().out.splitlines(), key=len)) < 200


def test_a_fault_of_its_own_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("pytest_gpuperf.records.files.content_of", broken)
    assert main(["show", "run.json"]) == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "a fault of gpuperf itself, and says nothing about your code. Please report it" in said


def test_main_takes_arguments_and_gives_the_exit_code(tmp_path, capsys):
    assert main(["show", str(tmp_path / "gone.json")]) == 4
    assert "there is no such file" in capsys.readouterr().err


def test_main_writes_where_a_caller_redirects_it():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["show", "gone.json"]) == 4
    assert said.getvalue().startswith("gpuperf: error: gone.json: ")


def test_starting_loads_nothing_heavy():
    heavy = ("numpy", "scipy", "torch", "pytest", "pynvml")
    code = f"import sys, pytest_gpuperf.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
