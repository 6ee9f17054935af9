"""The command as a whole: light, and with pytest's exit codes."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

import pytest
from command import gpuperf

from pytest_gpuperf.cli import main


def test_help_names_every_command(tmp_path):
    done = gpuperf("--help", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    for name in ("compare", "accept", "calibrate", "show", "waive", "doctor"):
        assert f"\n    {name}" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("banana",), ("show",), ("show", "x", "--colour")])
def test_a_wrong_command_line_ends_as_pytest_s_does(tmp_path, arguments):
    done = gpuperf(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "gpuperf: error: " in done.stderr


def test_main_takes_arguments_and_gives_the_exit_code(tmp_path, capsys):
    assert main(["show", str(tmp_path / "gone.json")]) == 4
    assert "there is no such file" in capsys.readouterr().err


def test_main_writes_where_a_caller_redirects_it():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["show", "gone.json"]) == 4
    assert said.getvalue().startswith("gpuperf: error: gone.json: ")


def test_starting_loads_nothing_heavy():
    heavy = ("numpy", "scipy", "torch", "pytest", "pynvml", "rich")
    code = f"import sys, pytest_gpuperf.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
