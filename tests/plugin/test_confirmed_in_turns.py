"""--gpuperf-confirm turns: a suspect is measured in turns with the revision that its baseline was recorded at."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from revisions_of import ON_CPU, Project

JUDGED = ("--gpuperf-compare", "base.json")
SLOWED = """
from time import sleep
import work

WAIT = 0.0

def test_spin(gpuperf, extra):
    def spin():
        work.spin()
        sleep(WAIT + extra) if WAIT + extra else None
    gpuperf(spin)

def test_calm(gpuperf):
    gpuperf(work.calm)
"""
TIMES_ITSELF = """
from time import perf_counter
import work
from pytest_gpuperf.text.stream import Stream, StreamClock

class Generating:
    figure, timed = "decode", {}

    def __call__(self):
        start = perf_counter()
        work.calm()
        first = perf_counter()
        work.spin()
        self.last = Stream(start, start, (first, perf_counter()), (0,))

    def gpuperf_clock(self, host):
        return StreamClock(self, host)

    def gpuperf_figures(self, measured):
        return measured

def test_spin(gpuperf):
    gpuperf(Generating())

def test_calm(gpuperf):
    call = Generating()
    call.figure = "ttft"
    gpuperf(call)
"""
LACKING = """
import work

def test_spin(gpuperf):
    gpuperf(work.spin)
    gpuperf(work.spin, name="new")

def test_calm(gpuperf):
    gpuperf(work.spin, items=2)

def test_new(gpuperf):
    gpuperf(work.spin)
"""


@pytest.fixture
def kept(repository, tmp_path_factory):
    """Run the gate, and see that the run it kept gives the same verdicts when it is judged again."""
    folder = tmp_path_factory.mktemp("kept")

    def run(*arguments, again=()):
        kept, later, gate = folder / "run.json", folder / "later.csv", repository.path / "report/figures.csv"
        result = repository.run(*JUDGED, "--gpuperf-save", str(kept), "--gpuperf-csv", "report/figures.csv", *arguments)
        command = [sys.executable, "-m", "pytest_gpuperf", "compare", "base.json", str(kept), "--csv", str(later)]
        judged = subprocess.run([*command, *again], check=False, capture_output=True, text=True, cwd=repository.path)
        assert judged.returncode == result.ret, judged.stdout + judged.stderr
        assert cells_of(later) == cells_of(gate, about=partial(pytest.approx, rel=1e-4))
        return result

    return run


def cells_of(table, about=float):
    """Its figures are of nine digits where a kept run was read, and otherwise of all that was measured."""
    cells = [cell for row in csv.reader(table.read_text().splitlines()) for cell in row]
    return [about(float(c)) if re.fullmatch(r"[\d.e+-]*\d", c) else c for c in cells]


def test_a_part_of_a_call_that_times_itself_is_convicted_alone(repository):
    repository.write("tests/test_perf.py", TIMES_ITSELF)
    commit = repository.recorded()
    repository.work(1.3)
    result = repository.run(*JUDGED, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"gpuperf: 1 test in turns with {commit[:10]}, *"])
    result.stdout.fnmatch_lines(["*regressed: tests/test_perf.py::test_spin*"])


def test_a_slower_package_is_convicted_and_the_failure_names_the_revision(repository, temporary):
    commit = repository.recorded()
    repository.work(1.3)
    repository.project.write("run.json", "")
    before = repository.project.fingerprint()
    result = repository.run(*JUDGED, "-p", "no:cacheprovider")
    assert result.ret == 1, result.stdout.str()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"gpuperf: 1 test in turns with {commit[:10]}, launch 5 (* s so far)"])
    result.stdout.fnmatch_lines(["*regressed: tests/test_perf.py::test_spin*"])
    assert "fresh process" not in result.stdout.str()
    assert repository.project.fingerprint() == before
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("file", ["tests/test_perf.py", "tests/conftest.py"])
def test_a_slow_down_that_was_put_into_the_suite_is_convicted(repository, file):
    conftest = "import pytest\n\nEXTRA = 0.0\n\n@pytest.fixture\ndef extra():\n    return EXTRA\n"
    repository.write("tests/conftest.py", conftest)
    repository.write("tests/test_perf.py", SLOWED)
    repository.recorded()
    text = (repository.path / file).read_text()
    repository.write(file, text.replace("EXTRA = 0.0", "EXTRA = 0.0003").replace("WAIT = 0.0", "WAIT = 0.0003"))
    result = repository.run(*JUDGED)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*slow* in * launches in turns*"])


def test_figures_of_a_faster_day_are_not_held_against_changed_code_and_waived_cases_are_left_alone(repository, kept):
    repository.recorded(faster=1.3)
    repository.work(1.0, "# another comment\n")
    result = kept()
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["gpuperf: 2 tests in turns with *, launch 2 (* s so far)", "*2 unchanged*2 of 2 decided"]
    )
    assert "launch 6" not in result.stdout.str()
    repository.baseline(faster=1.3, revision=repository.project.git("rev-parse", "HEAD"), waived_until="2100-01-01")
    result = repository.run(*JUDGED)
    assert result.ret == 0
    assert "in turns with" not in result.stdout.str()


def test_where_no_code_changed_it_is_the_machine_or_its_software(repository, kept):
    """Documents, a test of something else and the baseline itself are no code."""
    repository.recorded(faster=1.3)
    for name in ("README.md", "docs/page.txt", "tools/other.py", "report/figures.csv"):
        repository.write(name, "one more\n" if name != "tools/other.py" else "MORE = 1\n")
    repository.write(".gitignore", "ignored*\n")
    repository.write("ignored.bin", "made by a build")
    result = kept()
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*no code changed since * so the machine does that*"])
    assert "in turns with" not in result.stdout.str()
    result = repository.run(*JUDGED)  # for all that is known the table of figures may be read, until nobody did
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*in turns with * launch 1 *", "*no code changed since * so the machine does that*"])
    assert "launch 2" not in result.stdout.str()
    result = repository.run(*JUDGED, "--gpuperf-strict", "--gpuperf-csv", "report/figures.csv")
    assert result.ret == 1
    result.assert_outcomes(failed=2)
    environment = repository.read().environment
    changed = {**environment.software, "torch": "0.1"}
    repository.change_baseline(environment=msgspec.structs.replace(environment, software=changed))
    result = repository.run(*JUDGED, "--gpuperf-csv", "report/figures.csv")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*so other software does that (torch 0.1 -> *",
            "gpuperf: 2 of 2 compared figures cost more with other versions of software (torch 0.1 -> *",
        ]
    )
    allowed = ("--gpuperf-allow-environment", "--gpuperf-csv", "report/figures.csv")
    assert repository.run(*JUDGED, *allowed).ret == 0
    sessions = [msgspec.structs.replace(s, packages="other") for s in repository.read().sessions]
    repository.change_baseline(environment=environment, sessions=tuple(sessions))
    result = repository.run(*JUDGED, "--gpuperf-csv", "report/figures.csv")
    result.stdout.fnmatch_lines(["*so other software does that (other installed packages)*"])


@pytest.mark.parametrize(
    ("revision", "reason"),
    [
        (None, "the baseline does not know which revision it was recorded at"),
        ("{commit}+dirty", "the baseline was recorded with uncommitted changes at {short}"),
        ("0123456789" * 4, "0123456789 is not in this clone, and no remote gave it"),
    ],
)
def test_where_turns_cannot_be_taken_fresh_sessions_decide_and_the_reason_says_why(repository, kept, revision, reason):
    commit = repository.recorded()
    known = {"commit": commit, "short": commit[:10]}
    repository.baseline(revision=revision and revision.format(**known))
    repository.work(1.3)
    result = kept()
    result.assert_outcomes(failed=1, passed=1)
    said = result.stdout.str()
    assert "measured again in a fresh process (2 of 2)" in said
    assert reason.format(**known) in " ".join(said.split())


def test_what_the_revision_lacks_or_cannot_run_is_decided_by_fresh_sessions_and_the_rest_in_turns(repository, kept):
    repository.project.commit("before there was a suite")
    early = repository.project.git("rev-parse", "HEAD")
    repository.write("tests/test_perf.py", LACKING)
    repository.write("tests/test_new.py", "import work\n\ndef test_file(gpuperf):\n    gpuperf(work.spin)\n")
    repository.recorded()
    repository.baseline(revision=early)
    repository.work(1.3)
    result = kept()
    result.assert_outcomes(failed=4)
    said = " ".join(result.stdout.str().split())
    short = early[:10]
    for reason in (
        f"{short} does not have this test",
        f"{short} does not have tests/test_new.py",
        f"{short} does not have this measurement",
        f"{short} measures other items, or by another clock",
        "launches in turns",
    ):
        assert reason in said


def test_without_git_fresh_sessions_decide(repository):
    repository.recorded()
    shutil.rmtree(repository.path / ".git")
    repository.work(1.3)
    result = repository.run(*JUDGED)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*It took no turns: the tests are in no git repository*"])


def test_a_shallow_clone_gets_the_one_commit_that_it_lacks_and_stays_as_it_is(repository, pytester, monkeypatch):
    """The remote has a password in its address, which nobody is shown."""
    commit = repository.recorded()
    repository.work(1.3)
    repository.project.commit("slower")
    clone = pytester.path / "clone"
    address = repository.path.as_uri()
    repository.project.git("clone", "-q", "--depth=1", address, str(clone))
    shutil.copy("base.json", clone)
    monkeypatch.chdir(clone)
    git = partial(repository.project.git, "-C", str(clone))
    git("remote", "set-url", "origin", "secret:")
    git("config", f"url.{address}.insteadOf", "secret:")
    before = Project.fingerprint(SimpleNamespace(root=clone))
    result = repository.run(*JUDGED, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"gpuperf: 1 test in turns with {commit[:10]}, launch 5 (* s so far)"])
    assert Project.fingerprint(SimpleNamespace(root=clone)) == before
    git("config", f"url.{address}-away.insteadOf", "secret:")
    git("config", "--unset", f"url.{address}.insteadOf")
    result = repository.run(*JUDGED, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, passed=1)
    said = result.stdout.str()
    assert "no remote gave it. Fetch it before: git fetch --depth=1 origin" in " ".join(said.split())
    assert "secret" not in said
    assert "-away" not in said


def test_one_project_of_many_with_its_sources_in_src(repository, monkeypatch):
    """pytest is started in its folder, and its package is found through an editable installation."""
    one = repository.path / "packages/one"
    repository.work(1.0, name="packages/one/src/work/__init__.py")
    repository.write("packages/one/pytest.ini", "[pytest]\nfilterwarnings = error\n")
    shutil.rmtree(repository.path / "work")
    (repository.path / "tests").rename(one / "tests")
    monkeypatch.chdir(one)
    monkeypatch.syspath_prepend(str(one / "src"))
    repository.recorded()
    repository.work(1.3, name="packages/one/src/work/__init__.py")
    result = repository.run("--gpuperf-compare=../../base.json", "-k", "test_spin or test_calm", "tests")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*slow* in * launches in turns*"])


def test_what_has_to_be_built_is_built_on_each_side(repository):
    """The extension is ignored by git; without its command neither side has one."""
    repository.write(".gitignore", "_made.py\n")
    repository.write("work/_made.py", "MILLISECONDS = 1.0\n")
    repository.write("build.sh", "cp work/source.txt.in work/_made.py\n")
    repository.write("work/source.txt.in", "MILLISECONDS = 1.0\n")
    package = (repository.path / "work/__init__.py").read_text()
    repository.write("work/__init__.py", package.replace("MILLISECONDS = 1.0", "from work._made import MILLISECONDS"))
    repository.recorded()
    repository.write("work/source.txt.in", "MILLISECONDS = 1.3\n")
    repository.write("work/_made.py", "MILLISECONDS = 1.3\n")
    result = repository.run(*JUDGED)
    result.assert_outcomes(failed=1, passed=1)
    assert "could not be collected" in result.stdout.str()
    result = repository.run(*JUDGED, "--gpuperf-setup", "sh build.sh")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*slow* in * launches in turns*"])
    result = repository.run(*JUDGED, "--gpuperf-setup", "exit 3")
    assert "--gpuperf-setup ended with exit code 3 for" in " ".join(result.stdout.str().split())


def test_the_budget_bounds_the_launches_and_one_test_still_gets_what_a_conviction_needs(repository):
    suite = (repository.path / "tests/test_perf.py").read_text()
    repository.write("tests/test_perf.py", suite.replace("work.calm", "work.spin"))
    repository.recorded()
    repository.work(1.3)
    result = repository.run(*JUDGED, "--gpuperf-confirm-budget", "0.1")
    assert result.ret == 1
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["gpuperf: 2 tests in turns with *, launch 2 (*", "gpuperf: 1 test in turns *launch 5 (*"]
    )


def test_a_pinned_references_suspects_take_turns_with_its_own_revision(repository, kept):
    pinned = repository.recorded()
    shutil.move("base.json", "pinned.json")
    repository.work(1.3)
    repository.recorded()
    repository.work(1.3, "# a comment\n")
    result = kept("--gpuperf-reference", "pinned.json", again=("--reference", "pinned.json"))
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"gpuperf: 1 test in turns with {pinned[:10]}, launch 5 (* s so far)"])


def test_shards_are_judged_as_a_whole_by_what_each_of_them_learned(repository, tmp_path_factory):
    """By their sessions alone both tests would fail: the baseline is of a faster day."""
    repository.recorded(faster=1.3)
    repository.work(1.0, "# another comment\n")
    folder = tmp_path_factory.mktemp("shards")
    files = [str(folder / f"{name}.json") for name in ("spin", "calm")]
    for name, file in zip(("spin", "calm"), files, strict=True):
        assert repository.run(*JUDGED, "-k", name, "--gpuperf-save", file).ret == 0
    command = [sys.executable, "-m", "pytest_gpuperf", "merge", *files, "--into", str(folder / "all.json")]
    judged = subprocess.run(
        [*command, "--compare", "base.json"], check=False, capture_output=True, text=True, cwd=repository.path
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "confirmed in turns with" in judged.stdout
    assert "2 of 2 decided" in judged.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_whoever_ends_the_session_while_it_takes_turns_leaves_no_process(repository, temporary, number):
    repository.recorded()
    repository.work(1.3)
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pytest", *ON_CPU, *JUDGED, "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=repository.path, env=environment, stdout=subprocess.PIPE, text=True) as session:
        for line in session.stdout:
            if "launch 2" in line:
                break
        place = next(temporary.glob("gpuperf-ab-*"))
        until(lambda: len(processes_of(place)) >= 2)
        session.send_signal(number)
        said = session.stdout.read()
    until(lambda: not processes_of(place))
    if number == signal.SIGINT:
        assert session.returncode == 2
        assert "the session was interrupted before it was measured again" in " ".join(said.split())
        assert list(temporary.iterdir()) == []


def until(holds):
    """Wait for it, not for ever."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes_of(place):
    """The processes that were started for a workplace and live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if f"GPUPERF_AB_PLACE={place}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def test_the_repository_of_the_plugin_itself_takes_no_turns(repository):
    repository.write("src/pytest_gpuperf/__init__.py", "")
    repository.recorded()
    repository.work(1.3)
    result = repository.run(*JUDGED)
    result.assert_outcomes(failed=1, passed=1)
    said = " ".join(result.stdout.str().split())
    assert "It took no turns: This repository holds pytest_gpuperf itself" in said
