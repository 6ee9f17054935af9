"""Reports of Nsight Systems are exported by a program named nsys; here a small one stands in for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_gpuperf.errors import FileError, MissingError
from pytest_gpuperf.traces.nsys import export, is_report

NSYS = """#!/bin/sh
# As nsys export --type=sqlite --output=OUTPUT REPORT: a report that says "broken" is none.
echo "$*" >> "$(dirname "$0")/calls"
output="${3#--output=}"
grep -q slow "$4" && exec sleep 30
grep -q broken "$4" && { echo "one"; echo "Import failed: no QdstrmVersion"; exit 1; }
grep -q silent "$4" && exit 0
cp "$4" "$output"
"""


@pytest.fixture
def nsys(tmp_path, monkeypatch):
    """The folder of the program, which keeps how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "nsys"
    program.write_text(NSYS)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def report(tmp_path):
    def made(name="step.nsys-rep", content="a trace"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return made


def calls(nsys):
    file = nsys / "calls"
    return file.read_text().splitlines() if file.exists() else []


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "bin")


def test_only_nsys_reads_its_reports():
    assert [is_report(Path(name)) for name in ("a.nsys-rep", "a.qdrep", "a.sqlite", "a.json")] == [True] * 2 + [
        False
    ] * 2


def test_each_report_is_exported_beside_it_with_a_line_of_progress(tmp_path, nsys, report):
    reports = [report(f"{n}.nsys-rep", f"trace {n}") for n in range(6)] + [report("old.qdrep")]
    lines = []
    found = export([*reports, reports[0]], lines.append)
    assert found == {r: r.with_suffix(".sqlite") for r in reports}
    assert [found[r].read_text() for r in reports] == [*(f"trace {n}" for n in range(6)), "a trace"]
    assert len(calls(nsys)) == 7
    assert sum(": exported in " in line for line in lines) == 7
    assert lines[-1].endswith("(7 of 7)")
    assert left(tmp_path) == sorted(path.name for pair in found.items() for path in pair)


def test_what_was_exported_since_is_not_exported_again(tmp_path, nsys, report):
    path = report()
    export([path], print)
    lines = []
    assert export([path], lines.append) == {path: tmp_path / "step.sqlite"}
    assert lines == [f"{path}: exported before, step.sqlite is used"]
    assert len(calls(nsys)) == 1
    path.write_text("recorded anew")
    os.utime(path, (time.time() + 10, time.time() + 10))
    assert export([path], print)[path].read_text() == "recorded anew"
    assert len(calls(nsys)) == 2


def test_a_report_that_nsys_cannot_read_does_not_stop_the_others(tmp_path, nsys, report):
    good, bad, silent = report(), report("bad report.nsys-rep", "broken"), report("none.nsys-rep", "silent")
    lines = []
    found = export([bad, silent, good], lines.append)
    assert found[good] == tmp_path / "step.sqlite"
    assert isinstance(found[bad], FileError)
    assert "ended with exit code 1 and made no file: one Import failed: no QdstrmVersion. " in str(found[bad])
    assert f"Try it by hand: nsys export --type=sqlite '--output={tmp_path}/bad report.sqlite'" in str(found[bad])
    assert "exit code 0 and made no file. Try" in str(found[silent])
    assert sum(": failed in " in line for line in lines) == 2
    assert left(tmp_path) == ["bad report.nsys-rep", "none.nsys-rep", "step.nsys-rep", "step.sqlite"]


def test_an_export_that_fails_leaves_the_older_one_as_it_is(tmp_path, nsys, report):
    old = tmp_path / "step.sqlite"
    old.write_text("old")
    os.utime(old, (1, 1))
    path = report(content="broken")
    assert isinstance(export([path], print)[path], FileError)
    assert old.read_text() == "old"


def test_without_nsys_the_message_says_what_to_type(tmp_path, monkeypatch, report):
    monkeypatch.setenv("PATH", str(tmp_path))
    path, exported = report(), report("done.nsys-rep")
    (tmp_path / "done.sqlite").write_text("exported where nsys is")
    found = export([path, exported], print)
    assert found[exported] == tmp_path / "done.sqlite"
    assert isinstance(found[path], MissingError)
    assert f"type: nsys export --type=sqlite --output={tmp_path}/step.sqlite {path}; and give the .sqlite" in str(
        found[path]
    )


def test_a_report_that_is_not_there_is_told_and_stops_no_other(tmp_path, nsys, report):
    missing, good = tmp_path / "gone.nsys-rep", report()
    found = export([missing, good], print)
    assert "it cannot be exported: No such file or directory" in str(found[missing])
    assert found[good].exists()


def test_an_nsys_that_does_not_start_leaves_nothing_behind(tmp_path, nsys, report):
    (nsys / "nsys").write_bytes(b"\x7fELF, of another machine")
    path = report()
    assert "it cannot be exported: Exec format error" in str(export([path], print)[path])
    assert left(tmp_path) == ["step.nsys-rep"]


def test_a_place_that_cannot_be_written_is_told(tmp_path, nsys, report):
    path = report()
    (tmp_path / "step.sqlite" / "inside").mkdir(parents=True)
    os.utime(tmp_path / "step.sqlite", (1, 1))
    assert "it cannot be exported: Is a directory" in str(export([path], print)[path])


def test_no_export_outlives_an_interrupted_command(tmp_path, nsys, report):
    path = report(content="slow")
    code = (
        f"from pathlib import Path; from pytest_gpuperf.traces.nsys import export; export([Path({str(path)!r})], print)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not calls(nsys):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert left(tmp_path) == ["step.nsys-rep"]
