"""Whether a card runs as it can: its limits are looked at around each block, the rest about ten times a second.

Every look is a call into the driver while the card idles, so one serves two blocks that follow each other at once.

A reading of the moment misses what came and went in between, so the seconds that each limit has held the clock down are
compared too. A software power cap is ordinary under load and is noted; a thermal or hardware slow-down makes a block
one of another machine. Clocks explain a figure; they never excuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from pytest_gpuperf.device import processes
from pytest_gpuperf.device.readings import Missing, Reading, T, known
from pytest_gpuperf.errors import DeviceLostError
from pytest_gpuperf.records.model import Device

if TYPE_CHECKING:
    from pytest_gpuperf.device.nvml import NvmlDevice

POWER_CAP = "software power cap"
_SLOWDOWNS = {  # bits of the clock event reasons
    0x20: "thermal slow-down",  # by the driver
    0x40: "thermal slow-down",  # by the chip
    0x80: "power brake",
}
_HARDWARE = 0x08  # set beside the two above, and alone for what has no bit of its own
_POWER_CAP_BIT = 0x04
_THERMAL, _POWER, _BOARD = 1, 0, 3  # policies of the violation times
_SPAN_SHARE = 0.01  # of a block that a limit must have held, to count


_SAME_MOMENT = 0.05  # seconds between two blocks that one look serves
_BETWEEN_COUNTS = 0.05  # seconds: violation times take 0.4 ms each on an H200, the reasons of the moment 3 us
_BETWEEN_READINGS = 0.1  # seconds: what NVML tells of these moves no faster
_BETWEEN_NEIGHBOURS = 1.0  # seconds between two looks at who else uses the card


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds a card's clock down, at one moment."""

    at: float
    reasons: int
    violations: dict[int, float]  # policy -> seconds so far
    counted_at: float  # when these were


@dataclass(frozen=True, slots=True)
class HealthReadings:
    """How a card runs, at one moment."""

    temperature: int | None
    sm_clock: int | None
    watts: float | None
    utilization: int | None  # percent


@dataclass(frozen=True, slots=True)
class Health:
    """How the card ran during a measurement."""

    state: str | None = None  # the slow-down it was in, None where it ran as it can
    temperature: int | None = None  # the highest, degrees Celsius
    sm_clock: int | None = None  # the median, MHz
    watts: float | None = None  # the highest at the end of a block
    utilizations: tuple[int, ...] = ()  # percent, at the ends of blocks
    notes: tuple[str, ...] = ()


class Watch(Protocol):
    """Looks at a device around each block of one measurement."""

    def megahertz(self) -> float | None:
        """The clock that the device's processors run at now; None where nobody tells."""
        ...

    def before_block(self) -> None:
        """The block begins."""
        ...

    def after_block(self) -> str | None:
        """The slow-down that the block ran in; None where there was none."""
        ...

    def health(self, state: str | None) -> Health:
        """How the device ran, given the state that persisted."""
        ...


class CardWatch:
    """Watches one card through one measurement."""

    def __init__(self, device: NvmlDevice, now: Callable[[], float] = monotonic) -> None:
        self._device = device
        self._now = now
        self._before: Limits | None = None
        self._readings: list[HealthReadings] = []
        self._read_at = self._neighbours_at = -inf
        self._capped = 0
        self._limited = 0
        self._blocks = 0
        self._others: set[int] = set()

    def megahertz(self) -> float | None:
        """The clock that its processors run at now; None where the driver does not tell."""
        return _present(self._device.sm_clock())

    def before_block(self) -> None:
        """Look at the card, unless the block before has just ended."""
        now = self._now()
        if self._before is None or now - self._before.at > _SAME_MOMENT:
            self._before = limits(self._device, now)

    def after_block(self) -> str | None:
        """The slow-down that the block ran in; None where there was none."""
        now = self._now()
        before = self._before
        # Of short blocks the last one answers for what held the clock since the violation times were read.
        fresh = before is not None and now - before.counted_at < _BETWEEN_COUNTS
        after = limits(self._device, now, counted=before if fresh else None)
        before = before or after
        self._look_further(after.at)
        self._blocks += 1
        self._capped += bool((before.reasons | after.reasons) & _POWER_CAP_BIT) or _held(before, after, _POWER)
        self._limited += _held(before, after, _BOARD)
        state = slowdown(before, after)
        self._before = after if state is None else None  # the next block is not to answer for this one
        return state

    def _look_further(self, now: float) -> None:
        if now - self._read_at >= _BETWEEN_READINGS:
            self._readings.append(readings(self._device))
            self._read_at = now
        if now - self._neighbours_at >= _BETWEEN_NEIGHBOURS:
            self._look_for_neighbours()
            self._neighbours_at = now

    def _look_for_neighbours(self) -> None:
        self._others.update(known(processes.foreign(self._device)) or ())

    def health(self, state: str | None) -> Health:
        """How the card ran, given the state that persisted."""
        self._look_for_neighbours()  # who came last
        clocks = [r.sm_clock for r in self._readings if r.sm_clock is not None]
        temperatures = [r.temperature for r in self._readings if r.temperature is not None]
        notes: list[str] = []
        if self._capped:
            notes.append(f"{POWER_CAP} in {self._capped} of {self._blocks} blocks: ordinary under load")
        if self._limited:
            notes.append(f"the board's own limit held the clock in {self._limited} of {self._blocks} blocks")
        if self._others:
            names = ", ".join(map(str, sorted(self._others)))
            notes.append(f"process {names} used this GPU meanwhile: the figure is of a shared GPU")
        return Health(
            state=state,
            temperature=max(temperatures, default=None),
            sm_clock=round(median(clocks)) if clocks else None,
            watts=max((r.watts for r in self._readings if r.watts is not None), default=None),
            utilizations=tuple(r.utilization for r in self._readings if r.utilization is not None),
            notes=tuple(notes),
        )


def limits(device: NvmlDevice, at: float, counted: Limits | None = None) -> Limits:
    """What holds the clock down now, with the violation times of `counted` where it is given. A lost card raises."""
    reasons = _present(device.clock_reasons())
    if counted is not None:
        return replace(counted, at=at, reasons=reasons or 0)
    violations = {policy: _present(device.violation(policy)) for policy in (_THERMAL, _POWER, _BOARD)}
    return Limits(
        at=at,
        reasons=reasons or 0,
        violations={policy: seconds for policy, seconds in violations.items() if seconds is not None},
        counted_at=at,
    )


def readings(device: NvmlDevice) -> HealthReadings:
    """How the card runs now. A lost card raises."""
    return HealthReadings(
        temperature=_present(device.temperature()),
        sm_clock=_present(device.sm_clock()),
        watts=known(device.power()),
        utilization=known(device.utilization()),
    )


def slowdown(before: Limits, after: Limits) -> str | None:
    """The slow-down in effect at either moment, or long enough between them."""
    bits = before.reasons | after.reasons
    names = {name for bit, name in _SLOWDOWNS.items() if bits & bit}
    if _held(before, after, _THERMAL):
        names.add("thermal slow-down")
    if bits & _HARDWARE and not names:
        names.add("hardware slow-down")
    return " and ".join(sorted(names)) or None


def identified(device: Device, card: NvmlDevice) -> Device:
    """The hard identity with what only NVML knows: the MIG profile and the power limit."""
    return structs.replace(device, mig=card.mig_profile, power_limit=known(card.power_limit()))


def settings(device: NvmlDevice) -> dict[str, str]:
    """How the card is set up: reported where it differs, beside the versions."""
    words = {True: "on", False: "off"}
    switches = {"persistence": device.persistence(), "ecc": device.ecc()}
    return {name: words[value] for name, value in switches.items() if not isinstance(value, Missing)}


def _held(before: Limits, after: Limits, policy: int) -> bool:
    if policy not in before.violations or policy not in after.violations:
        return False
    held = after.violations[policy] - before.violations[policy]
    return held > 0 and held >= _SPAN_SHARE * (after.counted_at - before.counted_at)


def _present(reading: Reading[T]) -> T | None:
    if isinstance(reading, Missing) and reading.why == "lost":
        raise DeviceLostError(
            f"The GPU was lost while it was being measured: {reading.reason}. What was measured before is kept; "
            f"nothing more can be measured on it."
        )
    return known(reading)
