"""Energy per item: calls back to back through one window, untimed, until the meter is sure."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.device.power import GpuPower
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.records.enough_energy import ENOUGH_SECONDS, ENOUGH_UPDATES

_BATCH_SECONDS = 0.02  # calls back to back: the device idles only between batches
_EDGE_SECONDS = 0.002  # the same at the end, where the counter's next move is waited for
_WAIT_FOR_EDGE = 1.5  # periods of the counter: so much longer a window may last, to end when it moves


@dataclass(frozen=True, slots=True)
class EnergyPerItem:
    """Joules per item, gross and beyond what the idle device takes; or why there are none."""

    gross: float | None
    above_idle: float | None
    note: str  # how it was measured, or why it was not


def measure_energy(call: Call, call_seconds: float, items: int, clock: Clock, power: GpuPower) -> EnergyPerItem:
    """Run the call for five seconds, or for fifty updates of the counter where that is less."""
    period = power.period
    if isinstance(period, Missing) and isinstance(power.watts(), Missing):
        return EnergyPerItem(None, None, f"energy not available: {period.reason}")
    wanted = ENOUGH_SECONDS if isinstance(period, Missing) else min(ENOUGH_SECONDS, ENOUGH_UPDATES * period)
    patience = 0.0 if isinstance(period, Missing) else _WAIT_FOR_EDGE * period
    calls = 0
    with power() as window:
        start = clock.now()
        elapsed, held = 0.0, None
        while True:
            batch_seconds = _BATCH_SECONDS if elapsed < wanted - _BATCH_SECONDS else _EDGE_SECONDS
            batch = max(1, int(batch_seconds / call_seconds))
            for _ in range(batch):
                call()
            clock.synchronize()
            calls += batch
            elapsed = clock.now() - start
            if elapsed < wanted:
                continue
            # Wait until the counter moves: what came after its last move would have to be guessed.
            if held is None:
                held = power.counter()
            elif power.counter() != held:
                break
            if elapsed >= wanted + patience:
                break
    energy = window.energy
    if isinstance(energy.joules, Missing):
        return EnergyPerItem(None, None, f"energy not available: {energy.joules.reason}")
    above = energy.above_idle
    known = energy.joules > 0  # a meter that did not move in five seconds has measured nothing
    return EnergyPerItem(
        gross=energy.joules / (calls * items) if known else None,
        above_idle=above / (calls * items) if known and not isinstance(above, Missing) else None,
        note=_note(energy.method, energy.seconds, calls, energy.uncertainty, energy.notes),
    )


def _note(method: str, seconds: float, calls: int, uncertainty: float | None, notes: tuple[str, ...]) -> str:
    sure = "" if uncertainty is None else f", +-{uncertainty:.1%}"
    return "; ".join([f"energy of {calls} calls in {seconds:.1f} s: {method}{sure}", *notes])
