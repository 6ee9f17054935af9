"""The fixture `gpu`: on the processor, and on the processor with the sensors of the scripted card."""

from __future__ import annotations

import os
from dataclasses import replace
from time import perf_counter, sleep
from weakref import finalize

import numpy as np
import pytest
import torch
from msgspec import structs
from nvml.standin import GIB, LOST, NO_PERMISSION, Gpu, Machine

from pytest_gpuperf.device.choice import Chosen, card_sensors, choose_device
from pytest_gpuperf.device.memory import AllocatorMemory
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import DeviceLostError, UnavailableError
from pytest_gpuperf.measure.gpu import Gpu as Fixture
from pytest_gpuperf.records.units import MiB


def on_cpu() -> Chosen:
    return choose_device("cpu")


def with_card(machine: Machine) -> Chosen:
    """The processor computes, the scripted card tells of itself."""
    machine.change(processes=((os.getpid(), GIB),))
    return replace(on_cpu(), sensors=card_sensors(machine.gpus[0].uuid, None))


def spin() -> None:
    end = perf_counter() + 0.003
    while perf_counter() < end:
        pass


def nap() -> None:
    sleep(0.005)


def test_it_knows_the_device() -> None:
    gpu = Fixture(on_cpu())
    assert gpu.device.kind == "cpu"
    assert gpu.name == gpu.device.name
    assert gpu.card is None
    assert gpu.memory_in_use > MiB


def test_assert_executed() -> None:
    gpu = Fixture(on_cpu())
    gpu.assert_executed(spin)
    gpu.assert_executed(np.sort, np.arange(300_000)[::-1])
    with pytest.raises(
        AssertionError,
        match=r"It is not proven that nap runs on .* \(unknown\):\n  processor time: says nothing - busy",
    ):
        gpu.assert_executed(nap)


def test_assert_executed_contradicted_shows_the_diagnosis(machine: Machine) -> None:
    chosen = with_card(machine)
    gpu = Fixture(replace(chosen, device=structs.replace(chosen.device, kind="cuda")))
    model = torch.nn.Linear(64, 64)
    with pytest.raises(
        AssertionError, match=r"(?s)not proven that .*Linear runs on .* \(contradicted\):.*parameters: contradicts"
    ):
        gpu.assert_executed(model, torch.ones(1, 64))


def test_assert_on_device() -> None:
    gpu = Fixture(on_cpu())
    gpu.assert_on_device(torch.nn.Linear(2, 2), [torch.ones(1), np.ones(1)])
    with pytest.raises(AssertionError, match="Expected everything on cpu; found 24 B on cpu, 24 B on meta"):
        gpu.assert_on_device(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device="meta"))
    with pytest.raises(AssertionError, match="no tensor and no module"):
        gpu.assert_on_device("model")


class Meter:
    """A peak of three mebibytes, or none."""

    source = "scripted"

    def __init__(self, peak: int | None) -> None:
        self._peak = peak

    def reset(self) -> None: ...

    def peak(self) -> int | None:
        return self._peak

    def allocated(self) -> int | None:
        return None

    def release(self) -> None: ...


def test_assert_memory_below(machine: Machine) -> None:
    gpu = Fixture(replace(with_card(machine), memory=Meter(3 * MiB)))
    gpu.assert_memory_below(4 * MiB)
    with pytest.raises(AssertionError, match=r"Peak memory 3.00 MiB \(scripted\) is not below 3.00 MiB; 1.00 GiB in"):
        gpu.assert_memory_below(3 * MiB)
    machine.fails("*", NO_PERMISSION)
    with pytest.raises(AssertionError, match=r"is not below 1.00 MiB\.$"):
        gpu.assert_memory_below(MiB)
    with pytest.raises(UnavailableError, match="peak memory is not available"):
        Fixture(replace(on_cpu(), memory=Meter(None))).assert_memory_below(1)


def test_assert_memory_released(machine: Machine) -> None:
    gpu = Fixture(with_card(machine))
    machine.change(processes=((os.getpid(), GIB + 678 * MiB),))
    gpu.assert_memory_released(tolerance=678 * MiB)
    with pytest.raises(AssertionError, match=r"678 MiB were not released: 1.00 GiB in use when the"):
        gpu.assert_memory_released()
    machine.fails("*", NO_PERMISSION)
    with pytest.raises(UnavailableError, match="memory in use is not available"):
        gpu.assert_memory_released()


class Torch:
    """torch's allocator on the scripted card: what tensors hold, what it keeps for later, and what others hold."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.tensors = self.cached = 0
        self.libraries = GIB  # the context, to begin with
        self.meter = AllocatorMemory(lambda: None, lambda: self.tensors, lambda: self.tensors, self.empty_cache)

    def change(self, **bytes_: int) -> None:
        vars(self).update(bytes_)
        held = self.libraries + self.tensors + self.cached
        self.machine.change(processes=((os.getpid(), held),))

    def empty_cache(self) -> None:
        self.change(cached=0)

    def fixture(self) -> Fixture:
        return Fixture(replace(with_card(self.machine), memory=self.meter))


def test_a_tensor_that_stays_is_found_where_the_cache_was_full_before(machine: Machine) -> None:
    device = Torch(machine)
    device.change(cached=700 * MiB)
    gpu = device.fixture()
    device.change(tensors=600 * MiB, cached=100 * MiB)
    with pytest.raises(
        AssertionError, match=r"^600 MiB of tensors were not released: tensors held 0 B when .* 600 MiB n"
    ):
        gpu.assert_memory_released()
    device.change(tensors=0, cached=700 * MiB)
    gpu.assert_memory_released(0)


def test_what_a_cycle_held_when_the_test_began_hides_no_leak(machine: Machine) -> None:
    class Model:
        """Refers to itself, as models with hooks do."""

    device = Torch(machine)
    left = Model()
    left.itself = left
    finalize(left, lambda: device.change(tensors=0))
    device.change(tensors=600 * MiB)
    del left
    gpu = device.fixture()
    device.change(tensors=600 * MiB)
    with pytest.raises(AssertionError, match="600 MiB of tensors were not released"):
        gpu.assert_memory_released()


def test_what_libraries_keep_is_not_held_against_tensors(machine: Machine) -> None:
    device = Torch(machine)
    gpu = device.fixture()
    device.change(libraries=GIB + 188 * MiB, tensors=32 * MiB)  # kernels that were loaded, and cuBLAS's workspace
    gpu.assert_memory_released()
    with pytest.raises(AssertionError, match=r"32\.0 MiB of tensors were not released"):
        gpu.assert_memory_released(8 * MiB)
    device.change(libraries=GIB + 600 * MiB)
    with pytest.raises(
        AssertionError,
        match=r"600 MiB were not released.*now \(32\.0 MiB more by tensors\).*kept by libraries, not by tensors",
    ):
        gpu.assert_memory_released()
    gpu.assert_memory_released(libraries=GIB)
    with pytest.raises(AssertionError, match=r"600 MiB were not released.*400 MiB are tolerated"):
        gpu.assert_memory_released(libraries=400 * MiB)
    device.change(libraries=GIB, tensors=600 * MiB)
    machine.fails("*", NO_PERMISSION)
    with pytest.raises(AssertionError, match="600 MiB of tensors were not released"):
        gpu.assert_memory_released()


def test_assert_not_throttled(machine: Machine) -> None:
    gpu = Fixture(with_card(machine))
    gpu.assert_not_throttled()
    machine.change(reasons=0x48, temperature=92, sm_clock=600)
    with pytest.raises(AssertionError, match=r"was in a thermal slow-down since this test began: 600 MHz, 92 C"):
        gpu.assert_not_throttled()
    with pytest.raises(UnavailableError, match="is a processor"):
        Fixture(on_cpu()).assert_not_throttled()
    unknown = replace(on_cpu(), sensors=card_sensors("GPU-unknown", None))
    with pytest.raises(UnavailableError, match="NVML knows no device"):
        Fixture(unknown).assert_not_throttled()


def test_a_gpu_that_is_lost_says_so(machine: Machine) -> None:
    gpu = Fixture(with_card(machine))
    machine.fails("*", LOST)
    with pytest.raises(DeviceLostError, match="The GPU was lost"):
        gpu.assert_not_throttled()


def test_assert_power_rises(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_gpuperf.measure.gpu._RISE_SECONDS", 0.3)
    gpu = Fixture(with_card(machine))
    with pytest.raises(AssertionError, match=r"Power did not rise: 60.0 W idle, 60.0 W on average and 60.0 W at most"):
        gpu.assert_power_rises(nap)
    machine.change(power=130)
    gpu.assert_power_rises(nap)
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    with pytest.raises(UnavailableError, match=r"power is not available: .*no permission"):
        gpu.assert_power_rises(nap)
    with pytest.raises(UnavailableError, match="idle power is not available"):
        Fixture(on_cpu()).assert_power_rises(nap)


def test_assert_homogeneous(machine: Machine) -> None:
    gpu = Fixture(with_card(machine))
    gpu.assert_homogeneous()
    machine.gpus.append(Gpu(uuid="GPU-2", pci="0:2:0.0", memory_total=80 * GIB))
    machine.write()
    with pytest.raises(AssertionError, match=r"not of one kind: 2 x .* differ in memory: 40.0 GiB, 80.0 GiB"):
        gpu.assert_homogeneous()
    machine.fails("nvmlInitWithFlags", 12)
    with pytest.raises(UnavailableError, match="the list of GPUs is not available"):
        gpu.assert_homogeneous()


def test_memory_that_is_not_told_has_a_reason(machine: Machine) -> None:
    gpu = Fixture(with_card(machine))
    machine.change(processes=())
    assert isinstance(gpu._chosen.sensors.memory_in_use(), Missing)
    with pytest.raises(UnavailableError, match="does not tell how much memory"):
        _ = gpu.memory_in_use
