"""A study goes on where it was ended, whatever ended it: no session is lost, and none is measured twice."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from examples import ENVIRONMENT
from vit_runs import a_study_folder, a_vit_run, case_of

from pytest_gpuperf.comparison.vit_order import stages_of
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import FileError, SessionError
from pytest_gpuperf.records.vit_space import SPACES
from pytest_gpuperf.records.vit_study import ATTEMPTS, Attempt
from pytest_gpuperf.records.vit_study_files import attempts_of, keep_attempt, raw_path, raw_runs
from pytest_gpuperf.studies import run_vit_study
from pytest_gpuperf.studies.run_vit_study import VitRun, alone_in, reason_of, refuse_other_studies

CENTRE, NARROW = case_of("p8-d2-h128-r64"), case_of("p8-d2-h64-r64")
STAGES = stages_of([1], SPACES["smoke"])
DEVICE = ENVIRONMENT.device


class Scripted:
    """Measures at once, and remembers what it was asked for."""

    def __init__(self, fails=(), environment=ENVIRONMENT):
        self.asked, self.patience, self.shown = [], [], []
        self.fails, self.environment = fails, environment

    def __call__(self, case, number, timeout):
        self.asked.append((case, number))
        self.patience.append(timeout)
        if case in self.fails:
            raise SessionError("A fresh pytest process ended with exit code 1.\n  Its last lines:\n    E   Boom: no")
        return a_vit_run(case, number, environment=self.environment)


def a_run(folder, measure, stages=((CENTRE, NARROW),), *, environment=ENVIRONMENT, **changes):
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    return VitRun(folder, stages, environment, measure, measure.shown.append, **changes)


def test_rounds_are_measured_one_after_the_other_and_kept(tmp_path):
    measure = Scripted()
    study = a_run(tmp_path, measure)
    assert study.left == 6
    study.go_on(1000)
    assert measure.asked == [(case, number) for number in (1, 2, 3) for case in (CENTRE, NARROW)]
    assert study.left == 0
    assert len(raw_runs(tmp_path)) == 6
    assert [(a.test, a.session, a.failed) for a in attempts_of(tmp_path)] == [
        (case.test, number, None) for case, number in measure.asked
    ]
    assert [m.sessions_left for m in measure.shown] == [5, 4, 3, 2, 1, 0]
    assert all(m.call == pytest.approx(m.case.flops / 5e13, rel=0.01) for m in measure.shown)
    assert min(measure.patience) >= 300


def test_another_process_goes_on_with_what_is_missing(tmp_path):
    a_study_folder(tmp_path, [CENTRE])
    raw_path(tmp_path, CENTRE, 2).unlink()
    measure = Scripted()
    a_run(tmp_path, measure).go_on(1000)
    assert measure.asked == [(NARROW, 1), (NARROW, 2), (CENTRE, 2), (NARROW, 3)]


def test_nothing_is_measured_where_everything_is_there_or_no_time_is_left(tmp_path):
    measure = Scripted()
    a_run(tmp_path, measure).go_on(1)
    assert measure.asked == []
    a_study_folder(tmp_path, [CENTRE, NARROW])
    a_run(tmp_path, measure).go_on(1000)
    assert measure.asked == []


def test_raw_files_of_another_question_are_let_be(tmp_path):
    a_study_folder(tmp_path, [case_of("p8-d2-h128-r128")])
    assert a_run(tmp_path, Scripted()).left == 6


def test_what_fails_is_kept_with_its_reason_and_not_tried_again(tmp_path):
    failing = Scripted(fails=[CENTRE])
    a_run(tmp_path, failing).go_on(1000)
    assert failing.asked == [(CENTRE, 1), (NARROW, 1), (NARROW, 2), (NARROW, 3)]
    assert (failing.shown[0].failed, failing.shown[0].call) == ("Boom: no", None)
    measure = Scripted()
    study = a_run(tmp_path, measure)
    study.go_on(1000)
    assert (measure.asked, study.left) == ([], 0)
    study = a_run(tmp_path, measure, retry=True)
    study.go_on(1000)
    assert measure.asked == [(CENTRE, 1), (CENTRE, 2), (CENTRE, 3)]
    a_run(tmp_path, measure).go_on(1000)
    assert len(measure.asked) == 3


def test_a_case_that_was_too_slow_once_is_expected_to_be_slow_again(tmp_path):
    keep_attempt(tmp_path, Attempt(test=CENTRE.test, session=1, seconds=500.0))
    keep_attempt(tmp_path, Attempt(test="tests/a.py::test_of_another_question", session=1, seconds=1.0))
    assert a_run(tmp_path, Scripted()).pace().seconds(NARROW) > 400


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_what_needs_more_memory_than_there_is_is_not_tried(tmp_path, kind):
    device = msgspec.structs.replace(DEVICE, kind=kind, memory=CENTRE.memory)
    measure = Scripted()
    little = msgspec.structs.replace(ENVIRONMENT, device=device)
    study = a_run(tmp_path, measure, environment=little)
    assert list(study.failed) == ([CENTRE.test] if kind == "cuda" else [CENTRE.test, NARROW.test])
    assert study.failed[CENTRE.test].startswith("needs about ")
    assert study.failed[CENTRE.test].endswith("; the device has 2.78 MiB, and a tenth of it is left to libraries")
    tried = attempts_of(tmp_path)
    a_run(tmp_path, measure, environment=little)
    assert attempts_of(tmp_path) == tried, "once is enough"
    assert a_run(tmp_path, measure, environment=little, retry=True).failed == {}


def test_what_needs_a_gpu_is_not_tried_on_a_processor(tmp_path):
    processor = msgspec.structs.replace(ENVIRONMENT, device=msgspec.structs.replace(DEVICE, kind="cpu"))
    cases = [case_of("p8-d2-h128-r64", way) for way in ("sync-cpu", "sync-gpu")]
    study = a_run(tmp_path, Scripted(), [cases], environment=processor)
    assert study.failed == {cases[1].test: "preprocessing on the GPU needs one"}


def test_a_place_that_there_is_not_is_a_reason(monkeypatch):
    monkeypatch.setattr(run_vit_study, "place_of", lambda *_: Missing("unsupported", "this machine has one NUMA node"))
    with pytest.raises(SessionError) as error:
        run_vit_study.fresh_process("cpu", "smoke")(case_of("p8-d2-h128-r64", "local"), 1, 10.0)
    assert reason_of(error.value) == "this machine has one NUMA node"


def test_memory_that_is_not_known_is_tried(tmp_path):
    unknown = msgspec.structs.replace(ENVIRONMENT, device=msgspec.structs.replace(DEVICE, memory=None))
    assert a_run(tmp_path, Scripted(), environment=unknown).failed == {}


def test_a_session_on_another_device_is_refused_and_not_kept(tmp_path):
    other = msgspec.structs.replace(ENVIRONMENT, device=msgspec.structs.replace(DEVICE, name="NVIDIA L4"))
    with pytest.raises(FileError, match=r"this device is of another device .* session 1 of p8-d2-h128-r64"):
        a_run(tmp_path, Scripted(environment=other)).go_on(1000)
    assert raw_runs(tmp_path) == []


def test_ctrl_c_loses_the_session_that_runs_and_no_other(tmp_path):
    class Interrupted(Scripted):
        def __call__(self, case, number, timeout):
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().__call__(case, number, timeout)

    measure = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        a_run(tmp_path, measure).go_on(1000)
    assert len(raw_runs(tmp_path)) == len(attempts_of(tmp_path)) == 3
    again = Scripted()
    a_run(tmp_path, again).go_on(1000)
    assert [*measure.asked, *again.asked] == [(case, number) for number in (1, 2, 3) for case in (CENTRE, NARROW)]


KILLED = """
import sys, time
sys.path[:0] = [{support!r}]
from pathlib import Path
from examples import ENVIRONMENT
from vit_runs import a_vit_run
from pytest_gpuperf.comparison.vit_order import stages_of
from pytest_gpuperf.records.vit_space import SPACES
from pytest_gpuperf.studies import run_vit_study
from pytest_gpuperf.studies.run_vit_study import VitRun, alone_in

def measure(case, number, timeout):
    print(f"{{case.parameters}}.{{number}}", flush=True)
    time.sleep(0.01)
    return a_vit_run(case, number)

folder = Path(sys.argv[1])
with alone_in(folder):
    study = VitRun(folder, stages_of([1], SPACES["smoke"]), ENVIRONMENT, measure, lambda _: None)
    study.go_on(1000)
print("whole", flush=True)
"""


def test_sigkill_at_any_moment_loses_no_session_and_repeats_none_that_was_kept(tmp_path):
    script, folder = tmp_path / "study.py", tmp_path / "study"
    script.write_text(KILLED.format(support=str(Path(__file__).parents[2] / "support")))
    begun: list[str] = []
    lives = 0
    while "whole" not in begun:
        kept = {path.name.removesuffix(".json") for path in (folder / "raw").glob("*.json")}
        process = subprocess.Popen([sys.executable, script, folder], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lives += 1
        for count, line in enumerate(process.stdout, 1):
            assert line.strip() not in kept, "it is measured already"
            begun.append(line.strip())
            if count == 10 and lives < 4:
                time.sleep(0.004 * lives)  # in the midst of a session, or of keeping it
                os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert lives == 4
    wanted = {f"{case.parameters}.{number}" for stage in STAGES for case in stage for number in (1, 2, 3)}
    assert {path.name.removesuffix(".json") for path in (folder / "raw").glob("*.json")} == wanted
    assert {f"{run.parameters}.{run.number}" for run in raw_runs(folder)} == wanted, "and each can be read"
    assert len(begun) - 1 <= len(wanted) + 3, "at most the one that was running is begun again"
    assert all(json.loads(line) for line in (folder / ATTEMPTS).read_text().splitlines())


def test_two_at_once_are_refused(tmp_path):
    with (
        alone_in(tmp_path / "study"),
        pytest.raises(FileError, match="another process is at work on this study"),
        alone_in(tmp_path / "study"),
    ):
        pass
    with alone_in(tmp_path / "study"):
        pass


def test_a_folder_that_cannot_be_is_one_clear_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot be written: Not a directory. Give another folder"):
        alone_in(tmp_path / "file").__enter__()


@pytest.mark.parametrize("number", [37, 5])  # ENOLCK: no locks there; EIO: something is wrong
def test_where_there_are_no_locks_one_does_without(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if number == 5:
        with pytest.raises(OSError, match="Input/output"):
            alone_in(tmp_path).__enter__()
    else:
        with alone_in(tmp_path):
            assert (tmp_path / ATTEMPTS).exists()


def test_a_folder_of_another_scale_or_device_is_refused(tmp_path):
    refuse_other_studies(tmp_path, "full", ENVIRONMENT)
    a_study_folder(tmp_path, [CENTRE])
    refuse_other_studies(tmp_path, "smoke", ENVIRONMENT)
    with pytest.raises(FileError, match="holds a study of the smoke scale, and this is the full one"):
        refuse_other_studies(tmp_path, "full", ENVIRONMENT)
    other = msgspec.structs.replace(ENVIRONMENT, software={"torch": "2.16.0", "driver": "595.71"})
    with pytest.raises(FileError, match=r"the study in .* torch 2.15.0 -> 2.16.0. Ratios between them"):
        refuse_other_studies(tmp_path, "smoke", other)


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ("    E   ImportError: no torch\n    /x/torch/__init__.py:5: ImportError: no torch", "ImportError: no torch"),
        ("    /x/a_b.py:52: OutOfMemoryError: needs more memory", "OutOfMemoryError: needs more memory"),
        ("    SKIPPED [1] ../a/unittest.py:521: needs a C++ compiler", "needs a C++ compiler"),
        ("    Killed", "A fresh pytest process ended with exit code 1."),
    ],
)
def test_a_reason_is_one_line(last, why):
    error = SessionError(
        f"A fresh pytest process ended with exit code 1.\n  python -m pytest\n  Its last lines:\n{last}"
    )
    assert reason_of(error) == why
