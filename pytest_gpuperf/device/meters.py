"""What can tell how much energy a device takes: a counter of joules, and watts at a moment."""

from __future__ import annotations

from typing import Protocol

from pytest_gpuperf.device.readings import Missing, Reading


class Meter(Protocol):
    """The energy of one device."""

    @property
    def name(self) -> str:
        """Whose energy it is, and what its watts are."""
        ...

    @property
    def wraps_at(self) -> float | None:
        """Joules after which the counter begins again at zero, where that is ordinary."""
        ...

    def energy(self) -> Reading[float]:
        """Joules since some moment."""
        ...

    def power(self) -> Reading[float]:
        """Watts now."""
        ...

    def refused(self) -> Missing | None:
        """Why a figure would not be the workload's; None where it would."""
        ...
