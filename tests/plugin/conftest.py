"""Stories are told with workloads of a fixed duration: they spin until the clock says so, on any machine."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import msgspec
import numpy.fft
import numpy.random  # noqa: F401 - pytester forgets what a session imported, and these cannot be loaded twice
import pytest
import scipy.special  # noqa: F401
from revisions_of import ON_CPU, Project
from revisions_of import SPIN as WORK

from pytest_gpuperf.gate.compaction import block_medians
from pytest_gpuperf.records.files import read_baseline, read_run, write_baseline
from pytest_gpuperf.records.model import Accepted, Baseline, Series, Session, Waiver

SPIN = '''
from time import perf_counter

def spin(milliseconds):
    """A workload of a fixed duration."""
    end = perf_counter() + milliseconds / 1000
    while perf_counter() < end:
        pass
'''


class Story:
    """A folder with a test suite, as a user has it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makepyfile(spinning=SPIN)
        pytester.makeini("[pytest]\nfilterwarnings = error\n")

    @property
    def path(self) -> Path:
        return self.pytester.path

    def suite(self, text: str, name: str = "test_perf.py") -> Path:
        """Write a test file."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import pytest\nfrom spinning import spin\n\n" + textwrap.dedent(text))
        # One of the same size, written in the same second, would pass for the one that was compiled before.
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        return file

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process, on the CPU; what never varies is known after a short while."""
        return self.pytester.runpytest_inprocess("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", *arguments)

    def record(self, *arguments: str) -> Path:
        """Record a run and make a baseline of it: the same figures, in five quiet sessions."""
        result = self.run("--gpuperf-save", "run.json", *arguments)
        assert result.ret == 0, result.outlines
        return self.baseline()

    def baseline(
        self,
        *,
        faster: float = 1.0,
        only: str | None = None,
        sessions: int = 5,
        waived_until: str | None = None,
        revision: str | None = None,
    ) -> Path:
        """A baseline made from run.json, whose cases (or one of them) took `1 / faster` of the time."""
        run = read_run(self.path / "run.json")
        (header,) = run.sessions
        headers = [
            # No canaries: a workload of a fixed duration does not follow the machine's speed.
            Session(
                id=f"base{i}",
                time=f"2026-01-0{i + 1}T00:00:00Z",
                revision=revision,
                card=header.card,
                packages=header.packages,
            )
            for i in range(sessions)
        ]
        cases = []
        for case in run.cases:
            (m,) = case.measurements
            factor = 1 / faster if only in {None, case.test} else 1.0
            series = tuple(
                Series(
                    session=h.id,
                    count=len(m.samples),
                    medians=tuple(s * factor * (1 + 0.001 * (i - 2)) for s in block_medians(m.samples)),
                    peak_memory=m.peak_memory,
                )
                for i, h in enumerate(headers)
            )
            waiver = Waiver(until=waived_until, reason="known") if waived_until else None
            cases.append(
                Accepted(
                    id=case.id,
                    test=case.test,
                    items=m.items,
                    clock=m.clock,
                    series=series,
                    waiver=waiver,
                    profile=case.profile,
                )
            )
        baseline = Baseline(
            provenance="measured", environment=run.environment, sessions=tuple(headers), cases=tuple(cases)
        )
        file = self.path / "base.json"
        write_baseline(file, baseline)
        return file

    def read(self) -> Baseline:
        """What base.json holds."""
        return read_baseline(self.path / "base.json")

    def change_baseline(self, **changes: object) -> None:
        """Rewrite base.json with some fields replaced."""
        file = self.path / "base.json"
        write_baseline(file, msgspec.structs.replace(read_baseline(file), **changes))


@pytest.fixture
def story(pytester: pytest.Pytester) -> Story:
    return Story(pytester)


PERF = """
import work

def test_spin(gpuperf):
    gpuperf(work.spin)

def test_calm(gpuperf):
    gpuperf(work.calm)
"""
CALM = """
def calm():
    end = perf_counter() + 0.001
    while perf_counter() < end:
        pass
"""


class Repository(Story):
    """A repository with a package, a suite of two tests, and a baseline beside them that was recorded at its commit."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.project = Project(pytester.path / "project")  # pytester keeps its own files above
        self.write("pytest.ini", "[pytest]\nfilterwarnings = error\npythonpath = .\n")

    @property
    def path(self) -> Path:
        return self.project.root

    def write(self, name: str, text: str) -> None:
        file = self.project.write(name, text)
        # One of the same size, written in the same second, would pass for the one that was compiled before.
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)

    def work(self, milliseconds: float, note: str = "", name: str = "work/__init__.py") -> None:
        """The code under test: one workload of so many milliseconds, and one that is always as it was."""
        self.write(name, WORK.format(milliseconds=milliseconds) + CALM + note)

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*ON_CPU, *arguments)

    def recorded(self, **how: object) -> str:
        """Commit what stands here, and record it; gives the commit."""
        commit = self.project.commit("recorded")
        result = self.run("--gpuperf-save", str(self.path / "run.json"))
        assert result.ret == 0, result.outlines
        self.baseline(revision=commit, **how)
        return commit


@pytest.fixture
def repository(pytester, monkeypatch):
    made = Repository(pytester)
    monkeypatch.chdir(made.path)
    monkeypatch.setenv("COLUMNS", "150")
    made.work(1.0)
    made.write("tests/test_perf.py", PERF)
    return made
