"""A model's life in stages: idle, load, loaded, inference, clean-up; and what the device showed at each of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from time import monotonic, sleep
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_gpuperf.device.health import Health
from pytest_gpuperf.device.power import Sampler
from pytest_gpuperf.device.readings import known
from pytest_gpuperf.measure.evidence import Memory
from pytest_gpuperf.measure.find_tensors import find_tensors
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.records.units import MiB, format_bytes, format_seconds, many

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.measure.find_evidence import Prover

M = TypeVar("M")

LIBRARIES = 512 * MiB  # what a library's first use may keep
_KEPT_BY_LIBRARIES = (
    "This is kept by libraries, not by tensors: workspaces, kernels that their first use loads, what ONNX Runtime "
    "allocates. If this is a first use, call it once in a module's fixture, or tolerate more: libraries=BYTES."
)
_AT_REST = 0.3  # seconds that are looked at where nothing runs
_SAMPLES = 0.05  # seconds between two readings of the watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Bytes in use on the device. None: not available."""

    tensors: int | None  # what torch's allocator gave to tensors
    ours: int | None  # what our processes hold, as NVML says; on a processor, the memory of this process
    others: int | None  # what is in use beside that: other people's processes

    def unreleased(self, before: Held, then: str, tolerance: int, libraries: int) -> str | None:
        """How much more is held than `then`, before, and by whom; None where it is no more than is tolerated."""
        tensors = 0
        if before.tensors is not None and self.tensors is not None:
            tensors = self.tensors - before.tensors
            if tensors > tolerance:
                return (
                    f"{format_bytes(tensors)} of tensors were not released: tensors held "
                    f"{format_bytes(before.tensors)} {then}, and hold {format_bytes(self.tensors)} now; "
                    f"{format_bytes(tolerance)} are tolerated."
                )
        if before.ours is None or self.ours is None:
            return None
        kept = self.ours - before.ours - max(0, tensors)
        tolerated = tolerance if self.tensors is None else max(tolerance, libraries)
        if kept <= tolerated:
            return None
        by_whom = "" if self.tensors is None else f" {_KEPT_BY_LIBRARIES}"
        by_tensors = f" ({format_bytes(tensors)} more by tensors)" if tensors > 0 else ""
        return (
            f"{format_bytes(kept)} were not released: {format_bytes(before.ours)} in use {then}, "
            f"{format_bytes(self.ours)} now{by_tensors}; {format_bytes(tolerated)} are tolerated.{by_whom}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage. What is not available is None, never 0."""

    name: str
    seconds: float
    held: Held  # at its end
    watts: float | None  # the mean
    peak_watts: float | None
    utilization: int | None  # percent, the highest that was seen: shown, and never decisive

    def __str__(self) -> str:
        held, watts = self.held, self.watts
        figures = [
            f"{name} {format_bytes(amount)}"
            for name, amount in (("tensors", held.tensors), ("ours", held.ours), ("others", held.others))
            if amount is not None
        ]
        if watts is not None:
            figures.append(f"{watts:.1f} W, at most {self.peak_watts:.1f} W")
        if self.utilization is not None:
            figures.append(f"busy {self.utilization}%")
        return f"{self.name:<10} {format_seconds(self.seconds):>8}  {'; '.join(figures)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What a model's life showed."""

    idle: Stage
    load: Stage
    loaded: Stage
    inference: Stage
    clean_up: Stage
    calls: int  # in inference
    parameter_bytes: int  # 0 where there are none to be seen
    evidence: Evidence

    @property
    def all(self) -> tuple[Stage, ...]:
        """Every stage, in order."""
        return self.idle, self.load, self.loaded, self.inference, self.clean_up

    def assert_proven(self) -> None:
        """It is proven that the device did the work of inference."""
        __tracebackhide__ = True
        if self.evidence.verdict != "proven":
            raise AssertionError(
                f"It is not proven that the device did the work ({self.evidence.verdict}):\n"
                f"{evidence_lines(self.evidence)}\n{self}"
            )

    def assert_released(self, tolerance: int = 64 * MiB, *, libraries: int = LIBRARIES) -> None:
        """After the clean-up no more memory is held than at first, but for the tolerance."""
        __tracebackhide__ = True
        message = self.clean_up.held.unreleased(self.idle.held, "at first", tolerance, libraries)
        if message is not None:
            raise AssertionError(f"{message}\n{self}")

    def __str__(self) -> str:
        parameters = f"parameters {format_bytes(self.parameter_bytes)}; " if self.parameter_bytes else ""
        ending = f"{parameters}{many(self.calls, 'call')} of inference; {self.evidence.verdict}"
        return "\n".join([*map(str, self.all), ending])


@dataclass(frozen=True)
class Life(Generic[M]):
    """A model that is loaded, used and given up, and the device that is looked at meanwhile."""

    chosen: Chosen
    prover: Prover
    load: Callable[[], M]
    use: Callable[[M], object]

    def lived(self, seconds: float) -> Stages:
        """Go through its stages; inference lasts so long."""
        idle = stage_at_rest(self.chosen, "idle")
        load, loaded, inference, calls, parameters, evidence = self._with_model(seconds, idle)
        return Stages(
            idle=idle,
            load=load,
            loaded=loaded,
            inference=inference,
            clean_up=stage_at_rest(self.chosen, "clean-up"),
            calls=calls,
            parameter_bytes=parameters,
            evidence=evidence,
        )

    def _with_model(self, seconds: float, idle: Stage) -> tuple[Stage, Stage, Stage, int, int, Evidence]:
        """What needs the model: it is gone when this returns, if nobody else keeps it."""
        made: list[M] = []
        load, _ = stage_of(self.chosen, "load", lambda: made.append(self.load()))
        (model,) = made
        loaded = stage_at_rest(self.chosen, "loaded")
        inference, calls = stage_of(self.chosen, "inference", lambda: self.use(model), seconds)
        health = Health(
            watts=inference.peak_watts,
            utilizations=() if inference.utilization is None else (inference.utilization,),
        )
        on_card = self.prover.kind == "cuda"
        memory = Memory(
            held_before=idle.held.ours if on_card else None,
            allocated_before=idle.held.tensors,
            peak_allocated=self.chosen.memory.peak() if on_card else None,
        )
        evidence = self.prover.prove(lambda: self.use(model), (self.use, model), health, memory)
        return load, loaded, inference, calls, find_tensors(model).parameter_bytes, evidence


def stage_at_rest(chosen: Chosen, name: str) -> Stage:
    """A stage in which nothing runs, and nothing is held but what something still refers to."""
    chosen.clock.synchronize()
    gc.collect()
    chosen.memory.release()
    stage, _ = stage_of(chosen, name, lambda: sleep(_AT_REST))
    return stage


def stage_of(chosen: Chosen, name: str, do: Callable[[], object], seconds: float = 0.0) -> tuple[Stage, int]:
    """Do it once, and again until so many seconds are over, with the watts beside it; the stage, and how often."""
    card = chosen.sensors.card
    utilizations: list[int] = []
    calls = 0
    start = monotonic()
    with Sampler(chosen.sensors.meter, _SAMPLES) as sampler:
        while not calls or monotonic() - start < seconds:
            do()
            chosen.clock.synchronize()
            calls += 1
            busy = None if card is None else known(card.utilization())
            if busy is not None:
                utilizations.append(busy)
        took = monotonic() - start
    watts = [value for _, value in sampler.watts]
    stage = Stage(
        name=name,
        seconds=took,
        held=held_on(chosen),
        watts=mean(watts) if watts else None,
        peak_watts=max(watts, default=None),
        utilization=max(utilizations, default=None),
    )
    return stage, calls


def held_on(chosen: Chosen) -> Held:
    """What is in use on a device now."""
    sensors = chosen.sensors
    ours = known(sensors.memory_in_use())
    whole = None if sensors.card is None else known(sensors.card.memory())
    others = None if whole is None or ours is None else max(0, whole.used - ours)
    return Held(tensors=chosen.memory.allocated(), ours=ours, others=others)


def evidence_lines(evidence: Evidence) -> str:
    """Every witness on a line of its own."""
    lines = [f"  {w.name}: {w.rating} - {w.figure}" for w in evidence.witnesses]
    return "\n".join(lines + ([f"  diagnosis: {evidence.diagnosis}"] if evidence.diagnosis else []))
