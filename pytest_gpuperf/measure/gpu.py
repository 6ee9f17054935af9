"""The fixture `gpu`: what the device is, and assertions about what it does. Their messages show the figures."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, TypeVarTuple

from pytest_gpuperf.device.power import Sampler
from pytest_gpuperf.device.readings import Missing, Reading, T
from pytest_gpuperf.errors import UnavailableError
from pytest_gpuperf.measure.find_evidence import Prover
from pytest_gpuperf.measure.find_tensors import find_tensors
from pytest_gpuperf.measure.stages import LIBRARIES, Life, M, Stages, evidence_lines, held_on
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.records.units import MiB, format_bytes

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.device.health import Limits
    from pytest_gpuperf.records.model import Device

Ts = TypeVarTuple("Ts")

_RISE_SECONDS = 1.0  # of work whose watts are sampled
_RISE = 1.1  # times idle, and
_RISE_WATTS = 3.0
_FEWEST_SAMPLES = 5


class Gpu:
    """The chosen device; on a machine without a GPU, or with ``--gpuperf-device cpu``, the processor."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._prover = Prover(chosen.device.kind, chosen.index, chosen.clock, chosen.sensors)
        self._release()
        chosen.memory.reset()
        self._held_at_start = held_on(chosen)
        self._before = self._prover.memory_before(chosen.memory)
        self._limits_at_start = self._limits()

    @property
    def device(self) -> Device:
        """Its hard identity: kind, name, memory, compute capability, MIG profile, power limit."""
        return self._chosen.device

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def card(self) -> str | None:
        """A hash of the card's UUID: which card, without saying whose."""
        return self._chosen.card

    @property
    def memory_in_use(self) -> int:
        """Bytes that our processes hold on it; on the CPU, the memory of this process."""
        return _needed("memory in use", self._chosen.sensors.memory_in_use())

    def evidence(self, fn: Callable[[*Ts], object], *args: *Ts) -> Evidence:
        """Run ``fn(*args)`` a few times and see which device does the work."""
        peak = self._chosen.memory.peak() if self.device.kind == "cuda" else None
        return self._prover.prove(lambda: fn(*args), (fn, args), memory=replace(self._before, peak_allocated=peak))

    def assert_executed(self, fn: Callable[[*Ts], object], *args: *Ts) -> None:
        """``fn(*args)`` does its work on this device, and that is proven."""
        __tracebackhide__ = True
        found = self.evidence(fn, *args)
        if found.verdict != "proven":
            raise AssertionError(
                f"It is not proven that {self._what(fn)} runs on {self.name} ({found.verdict}):\n"
                f"{evidence_lines(found)}"
            )

    def assert_on_device(self, *things: object) -> None:
        """All parameters and tensors of modules, tensors or containers of them are on this device."""
        __tracebackhide__ = True
        reached = find_tensors(*things)
        places: dict[str, int] = {}
        for found in (reached.parameters, reached.tensors):
            for kind, amount in found.items():
                places[kind] = places.get(kind, 0) + amount
        if not places:
            raise AssertionError("There is no tensor and no module in it: nothing can be said about a device.")
        if set(places) != {self.device.kind}:
            shown = ", ".join(f"{format_bytes(amount)} on {kind}" for kind, amount in sorted(places.items()))
            raise AssertionError(f"Expected everything on {self.device.kind}; found {shown}.")

    def assert_memory_below(self, limit: int) -> None:
        """The peak of this test so far stays below so many bytes."""
        __tracebackhide__ = True
        peak = self._chosen.memory.peak()
        if peak is None:
            raise UnavailableError(f"peak memory is not available: {self._chosen.memory.source} cannot be read here")
        if peak >= limit:
            now = self._chosen.sensors.memory_in_use()
            held = "" if isinstance(now, Missing) else f"; {format_bytes(now)} in use now"
            raise AssertionError(
                f"Peak memory {format_bytes(peak)} ({self._chosen.memory.source}) is not below "
                f"{format_bytes(limit)}{held}."
            )

    def assert_memory_released(self, tolerance: int = 64 * MiB, *, libraries: int = LIBRARIES) -> None:
        """No more memory is in use than when the test began, but for the tolerance.

        On a GPU what tensors hold and what libraries keep beside them are judged apart: memory that torch had cached
        before the test cannot hide a tensor that stays, and a library's first use (188 MiB for cuBLAS on an H200) is
        no leak.
        """
        __tracebackhide__ = True
        self._release()
        before, now = self._held_at_start, held_on(self._chosen)
        message = now.unreleased(before, "when the test began", tolerance, libraries)
        if message is not None:
            raise AssertionError(message)
        if now.ours is None or before.ours is None:
            _needed("memory in use", self._chosen.sensors.memory_in_use())
            raise UnavailableError("memory in use was not available when the test began")

    def stages(self, load: Callable[[], M], use: Callable[[M], object], *, seconds: float = 1.0) -> Stages:
        """A model's life: idle, load, loaded, inference, clean-up, with memory, power and evidence.

        `load` makes the model and is the only one to know it, so that it is gone when the stages are over; `use` calls
        it, for so many seconds.
        """
        __tracebackhide__ = True
        return Life(self._chosen, self._prover, load, use).lived(seconds)

    def _release(self) -> None:
        """Leave nothing in use but what something still refers to."""
        self._chosen.clock.synchronize()
        gc.collect()
        self._chosen.memory.release()

    def assert_not_throttled(self) -> None:
        """No thermal or hardware slow-down since the test began."""
        __tracebackhide__ = True
        from pytest_gpuperf.device.health import readings, slowdown  # noqa: PLC0415 - it loads NVML

        card, before, now = self._chosen.sensors.card, self._limits_at_start, self._limits()
        if card is None or before is None or now is None:
            raise UnavailableError(f"the clock's state is not available: {self._why_no_card()}")
        state = slowdown(before, now)
        if state is not None:
            reading = readings(card)
            raise AssertionError(
                f"{self.name} was in a {state} since this test began: {reading.sm_clock} MHz, {reading.temperature} C. "
                f"See: nvidia-smi -q -d PERFORMANCE"
            )

    def assert_power_rises(self, fn: Callable[[*Ts], object], *args: *Ts) -> None:
        """``fn(*args)``, called for a second, draws clearly more power than the idle device."""
        __tracebackhide__ = True
        idle = _needed("idle power", self._chosen.sensors.idle_watts)
        with Sampler(self._chosen.sensors.meter, interval=_RISE_SECONDS / 20) as sampler:
            start = monotonic()
            while monotonic() - start < _RISE_SECONDS or len(sampler.watts) < _FEWEST_SAMPLES:
                fn(*args)
                self._chosen.clock.synchronize()
                if sampler.no_watts is not None:
                    raise UnavailableError(f"power is not available: {sampler.no_watts.reason}")
        watts = [w for _, w in sampler.watts]
        mean = sum(watts) / len(watts)
        if mean < max(_RISE * idle, idle + _RISE_WATTS):
            raise AssertionError(
                f"Power did not rise: {idle:.1f} W idle, {mean:.1f} W on average and {max(watts):.1f} W at most while "
                f"{self._what(fn)} ran ({len(watts)} samples)."
            )

    def assert_homogeneous(self) -> None:
        """All GPUs that this process may use are of one kind."""
        __tracebackhide__ = True
        from pytest_gpuperf.device.preflight import homogeneous  # noqa: PLC0415 - it loads NVML
        from pytest_gpuperf.device.visible import visible_devices  # noqa: PLC0415

        check = homogeneous(_needed("the list of GPUs", visible_devices()))
        if not check.good:
            raise AssertionError(f"The GPUs are not of one kind: {check.found}.")

    def _limits(self) -> Limits | None:
        card = self._chosen.sensors.card
        if card is None:
            return None
        from pytest_gpuperf.device.health import limits  # noqa: PLC0415

        return limits(card, monotonic())

    def _why_no_card(self) -> str:
        missing = self._chosen.sensors.missing
        return f"{self.name} is a processor" if missing is None else missing.reason

    def _what(self, fn: object) -> str:
        return getattr(fn, "__qualname__", type(fn).__name__)


def _needed(what: str, reading: Reading[T]) -> T:
    if isinstance(reading, Missing):
        raise UnavailableError(f"{what} is not available: {reading.reason}")
    return reading
