"""Real calls, and the device that did them."""

from __future__ import annotations

from time import perf_counter, sleep

import numpy as np
import pytest
import torch
from nvml.standin import GIB, Machine

from pytest_gpuperf.device.choice import Sensors, card_sensors, cpu_sensors
from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.device.health import Health
from pytest_gpuperf.measure.evidence import Memory
from pytest_gpuperf.measure.find_evidence import Prover
from pytest_gpuperf.records.model import Evidence


def prover(kind: str = "cpu", sensors: Sensors | None = None) -> Prover:
    return Prover(kind, None if kind == "cpu" else 0, HostClock(), sensors or cpu_sensors())


def figures(evidence: Evidence) -> dict[str, tuple[str, str]]:
    return {w.name: (w.rating, w.figure) for w in evidence.witnesses}


def spin() -> None:
    end = perf_counter() + 0.003
    while perf_counter() < end:
        pass


def test_work_on_the_processor_is_proven_by_its_time() -> None:
    evidence = prover().prove(spin, (spin,))
    assert evidence.verdict == "proven"
    assert figures(evidence)["processor time"][0] == "proves"


def test_a_call_that_waits_proves_nothing() -> None:
    evidence = prover().prove(lambda: sleep(0.01), ())
    assert evidence.verdict == "unknown"


def test_a_very_short_call_is_repeated_until_it_can_be_judged() -> None:
    count = 0

    def call() -> None:
        nonlocal count
        count += 1

    assert prover().prove(call, (call,)).verdict == "proven"
    assert count > 100


def test_inputs_and_outputs_are_looked_at() -> None:
    a = np.ones((64, 64))
    found = figures(prover().prove(lambda: a @ a, (a,)))
    assert found["inputs"] == ("supports", "on cpu")
    assert found["outputs"] == ("supports", "on cpu")


def test_a_model_left_on_the_processor_is_contradicted_where_a_gpu_was_expected(machine: Machine) -> None:
    """The whole way: a real model, the real profiler, the real pynvml; only the GPU is missing."""
    machine.change(memory_used=3 * GIB)
    model, x = torch.nn.Linear(256, 256), torch.ones(64, 256)
    seen = prover("cuda", card_sensors(machine.gpus[0].uuid, None)).prove(
        lambda: model(x), (model, x), Health(watts=61.0, utilizations=(0, 0, 0)), Memory(peak_allocated=0)
    )
    assert seen.verdict == "contradicted"
    found = figures(seen)
    assert found["parameters"] == ("contradicts", "257 KiB on cpu")
    assert found["outputs"][0] == "speaks against"
    assert found["power"] == ("says nothing", "60.0 W idle, 61.0 W at work")
    assert found["utilisation"] == ("says nothing", "0-0 % in 3 samples")
    assert found["memory"] == ("speaks against", "allocator peak 0 B; parameters need 257 KiB")
    assert seen.diagnosis is not None
    assert seen.diagnosis.startswith("CPU fallback")


def test_a_long_call_is_not_profiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_gpuperf.measure.find_evidence.LONGEST_PROFILED", 0.0)
    seen = prover("cuda").prove(spin, (spin,))
    assert figures(seen)["kernels"] == ("says nothing", "no call was profiled")
    assert seen.verdict == "unknown"
