"""Which device did the work: every result carries its proof, says that it has none, or fails."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from nvml.standin import LOST, Machine

from pytest_gpuperf.device import choice
from pytest_gpuperf.device.choice import Chosen, card_sensors, choose_device
from pytest_gpuperf.measure.observation import Observer
from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.traces.capture import capture

# The profiler loads more when it runs. pytester forgets what a session imported, and this cannot be loaded twice.
capture(lambda: torch.ones(1), lambda: None, cuda=True)

WAITING = """
    import time

    def test_waits(gpuperf):
        gpuperf(time.sleep, 0.004)
"""
TORCH_ON_THE_HOST = """
    import torch

    @pytest.mark.gpu
    def test_model(gpuperf):
        gpuperf(torch.nn.Linear(64, 64), torch.ones(8, 64))
"""


@pytest.fixture
def card(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor computes, a scripted card tells of itself."""

    def choose(request: str) -> Chosen:
        return replace(choose_device(request), sensors=card_sensors(machine.gpus[0].uuid, None))

    monkeypatch.setattr(choice, "choose_device", choose)


@pytest.fixture
def expected_to_compute(card, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the card that should have done the work."""
    of = Observer.of

    def of_card(chosen: Chosen) -> Observer:
        truth = of(chosen)
        return replace(truth, prover=replace(truth.prover, kind="cuda"))

    monkeypatch.setattr(Observer, "of", of_card)


def test_work_on_the_processor_is_proven(story):
    story.suite("def test_spins(gpuperf):\n    gpuperf(spin, 1)\n")
    result = story.run("--gpuperf-save", "run.json", "--gpuperf-require-proof")
    assert result.ret == 0
    (case,) = read_run(story.path / "run.json").cases
    evidence = case.measurements[0].evidence
    assert evidence is not None
    assert evidence.verdict == "proven"
    result.stdout.no_fnmatch_line("*unvalidated*")


def test_a_result_that_proves_nothing_is_marked_in_the_report(story):
    story.suite(WAITING)
    result = story.run("--gpuperf-save", "run.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: unvalidated: it is not proven that this device did the work (unknown:"])
    (case,) = read_run(story.path / "run.json").cases
    assert any(note.startswith("unvalidated:") for note in case.measurements[0].notes)


def test_a_result_that_proves_nothing_fails_where_proof_is_asked_for(story):
    story.suite(WAITING)
    result = story.run("--gpuperf-require-proof")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E *ContradictedError: It is not proven that * (cpu) did the work (--gpuperf-require-proof):",
            "E *processor time: says nothing - busy for *",
            "E *gpuperf doctor",
        ]
    )


def test_require_proof_is_an_ini_key_too(story):
    story.suite(WAITING)
    assert story.run("-o", "gpuperf_require_proof=true").ret == 1


@pytest.mark.usefixtures("expected_to_compute")
def test_a_model_left_on_the_processor_is_contradicted_under_gpu(story):
    """Everything is real but the GPU: the model, the profiler, pynvml."""
    story.suite(TORCH_ON_THE_HOST)
    result = story.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "E *ContradictedError: This is no figure of *: another device did the work.",
            "E *parameters: contradicts - 16.2 KiB on cpu",
            "E *diagnosis: CPU fallback: no kernel ran in a call of *",
            "E *Move the model and its inputs to it, or measure on the processor on purpose: --gpuperf-device cpu",
        ]
    )


def test_a_gpu_lost_in_the_middle_fails_its_test_and_keeps_what_was_measured(story, card, machine):
    story.suite(
        """
        @pytest.fixture
        def lose(request):
            return request.config.lose

        def test_before(gpuperf):
            gpuperf(spin, 1)

        def test_lost(gpuperf, lose):
            calls = []
            def call():
                calls.append(1)
                if len(calls) == 3:
                    lose()
                spin(1)
            gpuperf(call)

        def test_after(gpuperf):
            gpuperf(spin, 1)
        """
    )

    class Loses:
        def pytest_configure(self, config):
            config.lose = lambda: machine.fails("*", LOST)

    result = story.pytester.inline_run(
        "--gpuperf-device", "cpu", "--gpuperf-save", "run.json", "-p", "no:cacheprovider", plugins=[Loses()]
    )
    passed, _, failed = result.listoutcomes()
    assert [r.nodeid.rpartition("::")[2] for r in passed] == ["test_before"]
    assert [r.nodeid.rpartition("::")[2] for r in failed] == ["test_lost", "test_after"]
    for report in failed:
        assert "The GPU was lost while it was being measured" in str(report.longrepr)
        assert "dmesg" in str(report.longrepr)
    run = read_run(story.path / "run.json")
    assert [c.id.rpartition("::")[2] for c in run.cases] == ["test_before"]
    assert set(run.scope.unmeasured.values()) == {"failed in call"}


def test_a_slowdown_that_persists_is_named_in_the_run_and_the_report(story, card, machine):
    machine.change(reasons=0x20)
    story.suite("def test_spins(gpuperf):\n    gpuperf(spin, 1)\n")
    result = story.run("--gpuperf-save", "run.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: the thermal slow-down persisted after waiting*"])
    (case,) = read_run(story.path / "run.json").cases
    assert case.measurements[0].state == "thermal slow-down"


def test_energy_by_argument_and_by_marker(story, card):
    story.suite(
        """
        def test_argument(gpuperf):
            m = gpuperf(spin, 1, items=2, energy=True)
            assert 0 < m.energy < 1

        @pytest.mark.gpuperf(energy=True)
        def test_marker(gpuperf):
            assert gpuperf(spin, 1).energy is not None
            assert gpuperf(spin, 1, name="without", energy=False).energy is None
        """
    )
    result = story.run()
    assert result.ret == 0, result.outlines
    result.stdout.fnmatch_lines(["note: energy of * calls in * s: energy counter, +-*"])


def test_energy_that_cannot_be_had_says_why(story, monkeypatch, tmp_path):
    monkeypatch.setattr("pytest_gpuperf.device.counter._POWERCAP", tmp_path)
    monkeypatch.setattr("pytest_gpuperf.device.counter.CpuMeter.__init__.__defaults__", (tmp_path,))
    story.suite("def test_spins(gpuperf):\n    assert gpuperf(spin, 1, energy=True).energy is None\n")
    result = story.run()
    assert result.ret == 0, result.outlines
    result.stdout.fnmatch_lines(["note: energy not available: this machine shows no processor energy*"])


def test_energy_is_true_or_false(story):
    story.suite("@pytest.mark.gpuperf(energy='much')\ndef test_it(gpuperf):\n    gpuperf(spin, 1)\n")
    result = story.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*energy is True or False, not 'much'.*"])


def test_a_measurement_on_the_processor_does_not_load_torch_or_nvml(story):
    story.suite(
        """
        import sys

        def test_spins(gpuperf):
            gpuperf(spin, 1)
            assert not {"torch", "pynvml"} & set(sys.modules)
        """
    )
    done = story.pytester.run(sys.executable, "-m", "pytest", "--gpuperf-device", "cpu")
    assert done.ret == 0
