"""Making a certificate: real steps in real processes, and what becomes of one that ends its process."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import msgspec
import pytest

from pytest_gpuperf.cli import main
from pytest_gpuperf.errors import DeviceError, SessionError
from pytest_gpuperf.instrument.steps import ON_CPU
from pytest_gpuperf.records.certificate import Certificate, judged
from pytest_gpuperf.records.model import Device, Environment
from pytest_gpuperf.sessions import certify as making
from pytest_gpuperf.sessions.certify import certify, keep, kept, kept_at
from pytest_gpuperf.sessions.process import run_session

MEMORY = [step for step in ON_CPU if step.part == "memory"]

PROGRAM = """
import os, sys, time
from pytest_gpuperf.records.certificate import judged
from pytest_gpuperf.instrument.messages import StepBegins, encode

for step in sys.argv[2:]:
    print("noise of a library", file=sys.stderr)
    os.write(1, encode(StepBegins(step)))
    if step == "a product of matrices":
        print("illegal memory access", file=sys.stderr, flush=True)
        os.abort()
    if step == "a copy":
        time.sleep(60)
    os.write(1, encode(judged("timing", step, "1", "1", holds=True)))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Steps of which one ends its process and one takes for ever."""
    (tmp_path / "planted_steps.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(making, "PROGRAM", "planted_steps")


def test_parts_that_are_asked_for_are_looked_at_in_processes_of_their_own():
    said = []
    found = certify(["evidence", "memory"], "cpu", budget=None, rounds=1, arguments=[], progress=said.append)
    assert {row.part for row in found.rows} == {"evidence", "memory"}
    assert found.count("fails") == 0
    assert "memory: a leak of 600 MiB: holds" in said
    assert found.environment.device.kind == "cpu"
    assert found.gate is None


def test_what_ends_its_process_has_failed_and_the_others_are_looked_at(program, monkeypatch):
    monkeypatch.setattr(making, "_PATIENCE", 0)
    monkeypatch.setattr(making, "_PATIENCE_SECONDS", 5)
    steps = [step for step in ON_CPU if step.part == "timing"]
    rows = [(row.what, row.word, row.figure) for row in making._part(steps, "cpu")]
    assert rows == [
        ("the clock", "holds", "1"),
        ("a loop", "holds", "1"),
        ("a product of matrices", "fails", "ended with exit code -6: illegal memory access"),
        ("a copy", "fails", "took too long, and was stopped: noise of a library"),
    ]


def test_a_device_that_is_not_there_is_refused(program, monkeypatch):
    with pytest.raises(SessionError, match=r"No device was found: the process .* ended with exit code 0"):
        making.identified("cpu")
    monkeypatch.setattr(making, "PROGRAM", "pytest_gpuperf.instrument")
    with pytest.raises(DeviceError, match="'banana' is not a device"):
        making.identified("banana")


def test_a_step_that_raises_has_failed_and_the_next_one_runs(tmp_path, monkeypatch):
    """In the process of the steps: whatever it is, it is what was found."""
    broken = "import pytest_gpuperf.instrument.steps as s, dataclasses as d, runpy, sys\n"
    broken += "def fault(chosen):\n    raise OSError('no such thing')\n"
    broken += "s.ON_CPU = (d.replace(s.ON_CPU[0], rows=fault), *s.ON_CPU[1:])\n"
    broken += "runpy.run_module('pytest_gpuperf.instrument', run_name='__main__')\n"
    (tmp_path / "planted_steps.py").write_text(broken)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(making, "PROGRAM", "planted_steps")
    first, *others = making._part([ON_CPU[0], *MEMORY], "cpu")
    assert (first.what, first.word, first.figure) == ("the clock", "fails", "OSError: no such thing")
    assert others[-1].what == "the next allocation"


def test_a_budget_leaves_out_the_gate_and_says_so():
    began = time.monotonic()
    found = certify(["memory", "gate"], "cpu", budget=5, rounds=10, arguments=[], progress=lambda _: None)
    assert time.monotonic() - began < 60
    assert [(left.part, left.step) for left in found.left_out] == [("gate", "error rates")]
    assert found.rows
    assert found.gate is None


def test_the_gate_is_judged_by_the_tests_that_are_named(tmp_path, monkeypatch):
    (tmp_path / "test_suite.py").write_text("def test_sum(gpuperf):\n    gpuperf(sum, range(20_000))\n")
    monkeypatch.setattr("pytest_gpuperf.sessions.error_rates.SLOWDOWNS", (0.0, 1.0))
    monkeypatch.setitem(making.selftest.__kwdefaults__, "slowdowns", (0.0, 1.0))
    arguments = ["--gpuperf-device=cpu", "--gpuperf-budget=0.2", "-p", "no:cacheprovider", str(tmp_path)]
    said = []
    found = certify(["gate"], "cpu", budget=None, rounds=3, arguments=arguments, progress=said.append)
    assert [row.what for row in found.rows] == [
        "unchanged code called slower",
        "smallest slow-down found in 80% of its comparisons",
    ]
    assert found.gate is not None
    assert found.gate.rounds == 3
    assert any(text.startswith("gate: session 11 of 11") for text in said)


def test_the_built_in_workloads_are_those_that_are_installed(tmp_path, monkeypatch):
    """Not those of a clone in which the command is started."""
    clone = tmp_path / "pytest_gpuperf"
    clone.mkdir()
    (clone / "__init__.py").write_text("raise ImportError('the copy of a clone')\n")
    monkeypatch.chdir(tmp_path)
    recorded = []

    def one_session(rounds, arguments, *, directory, progress):
        recorded.append(run_session([*arguments, "--gpuperf-budget=0.2"], directory=directory))
        raise SessionError("enough")

    monkeypatch.setattr(making, "selftest", one_session)
    with pytest.raises(SessionError, match="enough"):
        certify(["gate"], "cpu", budget=None, rounds=3, arguments=[], progress=lambda _: None)
    assert len(recorded[0].cases) == 3


def test_the_command_prints_a_certificate_and_keeps_it(cache, capsys, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.sessions.certify.steps_of", lambda kind: MEMORY)
    assert main(["selftest", "--device", "cpu", "--budget", "10", "--format", "json"]) == 0
    printed = capsys.readouterr()
    found = msgspec.json.decode(printed.out, type=Certificate)
    assert kept(None) == found
    assert "gpuperf: memory: a leak of 600 MiB: holds" in printed.err
    assert main(["selftest", "--device", "cpu", "--parts", "evidence, memory"]) == 0
    assert kept(None) == found  # some parts are no certificate
    assert "#### memory" in capsys.readouterr().out


def test_a_row_that_fails_fails_the_command_and_what_cannot_be_kept_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("pytest_gpuperf.sessions.certify.steps_of", lambda kind: MEMORY)
    leaks = judged("memory", "a leak", "none", "", holds=False)
    monkeypatch.setattr(making, "_part", lambda steps, device: [leaks])
    assert main(["selftest", "--device", "cpu", "--budget", "10"]) == 1
    printed = capsys.readouterr()
    assert "**fails**" in printed.out
    assert "gpuperf doctor will not know of it, since it cannot be kept: " in printed.err


def test_a_part_that_there_is_not_is_refused(capsys):
    assert main(["selftest", "--parts", "timing,weather"]) == 4
    assert "'weather' is not one of: timing, evidence, memory, power, gate" in capsys.readouterr().err
    assert main(["selftest", "--budget", "soon"]) == 4
    assert "--budget: 'soon' is not a time" in capsys.readouterr().err


def test_a_certificate_of_another_version_counts_as_none(cache):
    found = Certificate(
        gpuperf="0.1",
        environment=Environment(device=Device(kind="cpu", name="Laptop", memory=1), software={"torch": "2.15"}),
        card="abc",
        created=datetime(2026, 11, 27, tzinfo=UTC),
        seconds=1.0,
        rows=(judged("timing", "a loop", "1", "1", holds=True),),
    )
    assert kept("abc") is None
    keep(found)
    assert kept("abc") == found
    kept_at("abc").write_text('{"rows": 7}')
    assert kept("abc") is None
