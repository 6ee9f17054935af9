"""A model's life in stages: on the processor, and with the sensors of a scripted card that shows a published trace."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from time import perf_counter

import pytest
import torch
from msgspec import structs
from nvml.standin import GIB, NO_PERMISSION, Machine

from pytest_gpuperf.device.choice import card_sensors, choose_device
from pytest_gpuperf.measure.gpu import Gpu
from pytest_gpuperf.measure.stages import Held, Stages
from pytest_gpuperf.records.units import MiB

MB = 10**6
PARAMETERS = 5_559 * MB  # of phi-2 in fp16
RISE, STAYS = 5_864 * MB, 678 * MB  # as it was published
NEIGHBOUR = 89_600 * MB
IDLE_WATTS, BUSY_WATTS = 17.8, 125.4


def spin(seconds: float = 0.003) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def test_of_the_processor() -> None:
    def load() -> torch.nn.Module:
        return torch.nn.Linear(4096, 4096)  # of 64 MiB: less might come from memory that the process has already

    x = torch.ones(64, 4096)
    stages = Gpu(choose_device("cpu")).stages(load, lambda model: model(x), seconds=0.1)
    assert [stage.name for stage in stages.all] == ["idle", "load", "loaded", "inference", "clean-up"]
    assert stages.parameter_bytes == 4 * 4096 * 4097
    assert stages.loaded.held.ours > stages.idle.held.ours
    assert stages.inference.seconds >= 0.1
    assert stages.calls >= 1
    assert (stages.idle.utilization, stages.idle.held.others, stages.idle.held.tensors) == (None, None, None)
    stages.assert_proven()
    stages.assert_released()
    assert "parameters 64.0 MiB" in str(stages)


def test_what_somebody_keeps_is_not_released() -> None:
    kept = []

    def load() -> bytearray:
        kept.append(bytearray(os.urandom(1)) * (200 * MiB))
        return kept[0]

    stages = Gpu(choose_device("cpu")).stages(load, lambda _: spin(), seconds=0.01)
    with pytest.raises(AssertionError, match=r"200 MiB were not released: .* in use at first.*\n(.*\n)*clean-up"):
        stages.assert_released()
    stages.assert_released(tolerance=300 * MiB)


class OnCard:
    """A tensor of so many bytes on a GPU."""

    dtype = "torch.float16"
    shape = (1,)
    device = "cuda:0"
    nbytes = PARAMETERS


class Phi(torch.nn.Module):
    """All that evidence looks at: parameters on a GPU."""

    def parameters(self, recurse=True):
        return iter((OnCard(),))

    def buffers(self, recurse=True):
        return iter(())


@dataclass
class Story:
    """A card on which somebody else holds most, and what a model does to it."""

    machine: Machine
    rise: int = RISE
    watts: float = BUSY_WATTS
    utilization: int = 1
    left_on_host: bool = False

    def show(self, ours: int, watts: float, utilization: int = 0) -> None:
        held = 500 * MB + ours
        self.machine.change(
            processes=((os.getpid(), held), (1, NEIGHBOUR)),
            memory_used=held + NEIGHBOUR,
            power=watts,
            utilization=utilization,
        )

    def stages(self) -> Stages:
        self.machine.change(memory_total=140 * GIB, power={0: IDLE_WATTS})
        self.show(0, IDLE_WATTS)
        chosen = choose_device("cpu")
        chosen = replace(
            chosen,
            device=structs.replace(chosen.device, kind="cuda"),
            sensors=card_sensors(self.machine.gpus[0].uuid, None),
        )
        machine, story = self.machine, self

        class Loaded(Phi):
            def __del__(self) -> None:
                story.show(min(STAYS, story.rise), IDLE_WATTS)

        def load() -> torch.nn.Module:
            spin(0.1)
            story.show(story.rise, IDLE_WATTS)
            return torch.nn.Linear(64, 64) if story.left_on_host else Loaded()

        def use(_model: torch.nn.Module) -> None:
            if machine.gpus[0].utilization != story.utilization:
                story.show(story.rise, story.watts, story.utilization)
            spin()

        return Gpu(chosen).stages(load, use, seconds=0.4)


def test_a_published_trace_is_proven_though_its_utilisation_is_one_percent(machine: Machine) -> None:
    stages = Story(machine).stages()
    stages.assert_proven()
    rise = stages.loaded.held.ours - stages.idle.held.ours
    assert rise == RISE
    assert stages.idle.held.others == NEIGHBOUR == stages.inference.held.others
    assert stages.idle.watts == pytest.approx(IDLE_WATTS)
    assert stages.inference.peak_watts == pytest.approx(BUSY_WATTS)
    assert stages.inference.utilization == 1
    assert stages.load.seconds >= 0.1
    assert stages.clean_up.held.ours - stages.idle.held.ours == STAYS
    with pytest.raises(AssertionError, match="647 MiB were not released"):
        stages.assert_released()
    stages.assert_released(tolerance=700 * MiB)
    assert "ours 477 MiB; others 83.4 GiB; 17.8 W" in str(stages)


def test_a_flat_trace_contradicts(machine: Machine) -> None:
    stages = Story(machine, rise=0, watts=IDLE_WATTS, utilization=0, left_on_host=True).stages()
    assert stages.evidence.verdict == "contradicted"
    with pytest.raises(AssertionError, match=r"(?s)not proven .*\(contradicted\).*parameters: .*idle .*clean-up"):
        stages.assert_proven()
    stages.assert_released()


def test_a_flat_trace_of_a_model_that_says_it_is_there_is_not_proven(machine: Machine) -> None:
    stages = Story(machine, rise=0, watts=IDLE_WATTS, utilization=0).stages()
    assert stages.evidence.verdict == "unknown"
    with pytest.raises(AssertionError, match="memory: speaks against"):
        stages.assert_proven()


def test_what_nvml_does_not_tell_is_not_zero(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetComputeRunningProcesses_v3", NO_PERMISSION)
    machine.fails("nvmlDeviceGetPowerUsage", NO_PERMISSION)
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    stages = Story(machine).stages()
    assert (stages.idle.held.ours, stages.idle.held.others) == (None, None)
    assert "ours" not in str(stages)


def held(tensors: int | None, ours: int | None) -> Held:
    return Held(tensors=tensors, ours=ours, others=None)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (held(0, 0), held(0, 600 * MiB), "600 MiB were not released: 0 B in use then, 600 MiB now; 512 MiB"),
        (held(0, 0), held(0, 500 * MiB), None),
        (held(0, 0), held(65 * MiB, 0), "65.0 MiB of tensors were not released: tensors held 0 B then"),
        (held(0, 0), held(60 * MiB, 600 * MiB), "540 MiB were not released"),
        (held(None, 0), held(None, 65 * MiB), "65.0 MiB were not released"),
        (held(None, None), held(None, 65 * MiB), None),
        (held(0, 0), held(0, None), None),
    ],
)
def test_what_is_held_more_and_by_whom(before: Held, after: Held, words: str | None) -> None:
    message = after.unreleased(before, "then", 64 * MiB, 512 * MiB)
    assert message is None if words is None else words in message
