"""The fixtures `gpu` and `gpu_power`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nvml.standin import Machine

from pytest_gpuperf.device import choice
from pytest_gpuperf.device.choice import Chosen, card_sensors, choose_device
from pytest_gpuperf.plugin.recorder import Recorder


@pytest.fixture
def card(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor computes, the scripted card tells of itself."""

    def choose(request: str) -> Chosen:
        return replace(choose_device(request), sensors=card_sensors(machine.gpus[0].uuid, None))

    monkeypatch.setattr(choice, "choose_device", choose)


def test_gpu_on_the_processor(story):
    story.suite(
        """
        import time

        @pytest.mark.gpu
        def test_it(gpu):
            assert gpu.device.kind == "cpu"
            assert gpu.memory_in_use > 0
            gpu.assert_executed(spin, 1)

        def test_waits(gpu):
            gpu.assert_executed(time.sleep, 0.004)

        def test_throttled(gpu):
            gpu.assert_not_throttled()
        """
    )
    result = story.run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: It is not proven that sleep runs on * (unknown):",
            "E *processor time: says nothing - busy for *",
            "E *UnavailableError: the clock's state is not available: * is a processor",
        ]
    )


@pytest.mark.usefixtures("card")
def test_power_of_a_window(story):
    story.suite(
        """
        def test_it(gpu_power):
            with gpu_power() as window:
                spin(200)
            assert 9 < window.joules < 30
            assert window.mean_watts == pytest.approx(60, rel=0.1)
            assert window.idle_watts == 60
            assert window.method == "energy counter"
            assert window.uncertainty < 0.2
        """
    )
    result = story.run()
    assert result.ret == 0, result.outlines


def test_power_that_cannot_be_had_says_why(story, tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.device.counter.CpuMeter.__init__.__defaults__", (tmp_path,))
    story.suite(
        """
        def test_it(gpu_power):
            with gpu_power() as window:
                spin(1)
            assert window.joules > 0
        """
    )
    result = story.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E *UnavailableError: energy is not available: this machine shows no processor*"])


def test_a_project_with_a_fixture_of_that_name_notices_nothing(story):
    story.suite(
        """
        @pytest.fixture
        def gpu():
            return "its own"

        def test_it(gpu):
            assert gpu == "its own"
        """
    )
    result = story.run()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("gpuperf:*")


def test_memory_is_read_before_a_test_makes_anything(story, monkeypatch):
    """Else a rise by a model's parameters could not be told from what was there."""
    happened: list[str] = []
    monkeypatch.setattr(Recorder, "test_begins", lambda self: happened.append("read"))
    monkeypatch.setattr("builtins.happened", happened, raising=False)
    story.suite(
        """
        @pytest.fixture(autouse=True)
        def model():
            happened.append("made")

        def test_measures(gpuperf):
            gpuperf(spin, 1)

        def test_measures_nothing():
            pass
        """
    )
    story.run().assert_outcomes(passed=2)
    assert happened == ["read", "made", "made"]
