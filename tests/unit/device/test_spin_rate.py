"""How fast the spin kernel spins, on cards that wake up in virtual time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_gpuperf.device.cuda import spin_rate


@dataclass
class Sleeper:
    """A card whose clock goes from 345 MHz to 1980 MHz in so many seconds of work."""

    wakes_after: float
    now: float = 0.0
    jitter: float = 0.0

    def spun(self, cycles: int) -> float:
        awake = 1.0 if self.now >= self.wakes_after else self.now / self.wakes_after
        self.jitter = -self.jitter
        seconds = cycles / (345e6 + awake * (1980e6 - 345e6)) * (1 + self.jitter)
        self.now += seconds
        return seconds


@pytest.mark.parametrize("wakes_after", [0.0, 0.01, 0.1, 0.25])
def test_a_card_that_wakes_up_is_waited_for(wakes_after: float) -> None:
    """With two answers that agree within 2 % it was believed at 350 MHz, where it wakes slowly."""
    assert spin_rate(Sleeper(wakes_after).spun) == pytest.approx(1980e6, rel=0.01)


def test_a_card_that_never_settles_is_not_waited_for_for_ever() -> None:
    card = Sleeper(0.0, jitter=0.1)
    assert spin_rate(card.spun) == pytest.approx(1980e6, rel=0.2)
    assert 2.0 <= card.now < 2.1
