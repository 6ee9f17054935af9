"""How long a window of energy has to be, and how far two witnesses of it may be apart."""

from __future__ import annotations

ENOUGH_SECONDS = 5.0
ENOUGH_UPDATES = 50
DISAGREE = 0.10  # the counter and the sampled watts, relative


def too_short(seconds: float, period: float | None) -> str | None:
    """Why a window is too short for 2 %; None where it is not. The period is the counter's; None: there is none."""
    updates = seconds / period if period else ENOUGH_UPDATES
    if seconds >= ENOUGH_SECONDS or updates >= ENOUGH_UPDATES:
        return None
    return (
        f"a window of {seconds:.2g} s with {updates:.0f} updates of the counter: "
        f"{ENOUGH_SECONDS:.0f} s, or {ENOUGH_UPDATES} updates, are needed for 2 %"
    )
