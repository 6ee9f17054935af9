"""What stands beside the times: which device did the work, how it ran, and what energy that took."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from msgspec import structs

from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.device.contention import ProcessorWatch
from pytest_gpuperf.device.health import CardWatch, Health, Watch
from pytest_gpuperf.device.power import GpuPower
from pytest_gpuperf.measure.energy_per_item import measure_energy
from pytest_gpuperf.measure.evidence import Memory
from pytest_gpuperf.measure.find_evidence import LONGEST_PROFILED, Prover
from pytest_gpuperf.measure.find_tensors import find_tensors
from pytest_gpuperf.records.model import Evidence, Measurement, Profile
from pytest_gpuperf.traces.profile import profile_of

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen


@dataclass(frozen=True)
class Observer:
    """Looks at one device, for a whole session."""

    prover: Prover
    power: GpuPower

    @classmethod
    def of(cls, chosen: Chosen) -> Observer:
        """Of the device that was chosen."""
        prover = Prover(chosen.device.kind, chosen.index, chosen.clock, chosen.sensors)
        return cls(prover, GpuPower(chosen.sensors.meter, chosen.clock.synchronize))

    def watch(self) -> Watch | None:
        """What looks at the card, or the processor, around each block; None for a card that NVML cannot show."""
        card = self.prover.sensors.card
        if card is not None:
            return CardWatch(card)
        return ProcessorWatch() if self.prover.kind == "cpu" else None

    def observe(
        self,
        measurement: Measurement,
        call: Call,
        held: tuple[object, ...],
        health: Health | None,
        before: Memory,
        *,
        energy: bool,
    ) -> Measurement:
        """The measurement with its evidence, its health, and its energy where it was asked for."""
        health = health or Health()
        memory = replace(before, peak_allocated=measurement.peak_memory if self.prover.kind == "cuda" else None)
        evidence = self.prover.prove(call, held, health, memory)
        measurement = structs.replace(
            measurement,
            evidence=evidence,
            state=health.state,
            temperature=health.temperature,
            sm_clock=health.sm_clock,
            notes=(*measurement.notes, *health.notes, *unvalidated(evidence)),
        )
        if not energy:
            return measurement
        seconds = measurement.items / measurement.throughput
        figures = measure_energy(call, seconds, measurement.items, self.prover.clock, self.power)
        return structs.replace(
            measurement,
            energy=figures.gross,
            energy_above_idle=figures.above_idle,
            notes=(*measurement.notes, figures.note),
        )

    def profile(self, measurement: Measurement, call: Call, held: tuple[object, ...]) -> Profile | None:
        """What one call more runs, untimed; None where torch has no part in it, or a trace would fill the memory."""
        seconds = median(measurement.samples)
        if "torch" not in sys.modules or seconds > LONGEST_PROFILED:
            return None
        return profile_of(
            call,
            self.prover.clock.synchronize,
            cuda=self.prover.kind == "cuda",
            session=measurement.session,
            seconds=seconds,
            parameters=find_tensors(*held).types,
        )


def charged(measurement: Measurement, allocated: int | None, before: Memory, held: tuple[object, ...]) -> Measurement:
    """The measurement with a peak that does not depend on what ran before; `allocated` is what tensors hold now.

    A model that a fixture made before the test began counts in full, because the call uses it. What ONNX Runtime
    takes on a card is not torch's to count: of a network of 97 MiB an H200's allocator saw 0.3.
    """
    if measurement.peak_memory is None or allocated is None or before.allocated_before is None:
        return measurement
    reached = find_tensors(*held)
    if reached.placement is not None:
        unknown = f"peak memory is not known: {reached.placement.wanted} takes its own, beside torch's allocator"
        return structs.replace(measurement, peak_memory=None, notes=(*measurement.notes, unknown))
    used = reached.parameters.get("cuda", 0) + reached.tensors.get("cuda", 0)
    others = max(0, min(before.allocated_before, allocated - used))
    return structs.replace(
        measurement,
        peak_memory=max(0, measurement.peak_memory - others),
        peak_allocated=measurement.peak_memory,
    )


def unvalidated(evidence: Evidence) -> tuple[str, ...]:
    """What every report says beside a figure of which nobody knows what did the work."""
    if evidence.verdict == "proven":
        return ()
    figures = "; ".join(f"{w.name}: {w.figure}" for w in evidence.witnesses)
    why = f" Likeliest cause of 0 % utilisation: {evidence.diagnosis}" if evidence.diagnosis else ""
    return (f"unvalidated: it is not proven that this device did the work ({evidence.verdict}: {figures}).{why}",)
