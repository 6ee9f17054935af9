"""Measuring again after a slow-down, and not for ever."""

from __future__ import annotations

from pytest_gpuperf.measure.sampler import Patience


def test_a_block_in_a_slowdown_is_discarded_after_ever_longer_waits() -> None:
    slept: list[float] = []
    patience = Patience((0.1, 0.4), slept.append)
    assert patience.discards("thermal slow-down")
    assert patience.discards("power brake")
    assert slept == [0.1, 0.4]
    assert not patience.discards(None)
    assert patience.state is None
    assert patience.notes == (
        "2 block(s) ran in a power brake and thermal slow-down and were measured again, after waiting 0.5 s",
    )


def test_a_slowdown_that_persists_is_the_state() -> None:
    patience = Patience((0.1,), lambda _: None)
    assert patience.discards("thermal slow-down")
    assert not patience.discards("thermal slow-down")
    assert patience.state == "thermal slow-down"
    assert patience.notes == (
        "the thermal slow-down persisted after waiting 0.1 s: these are figures of a card in that state",
    )


def test_nothing_happened() -> None:
    patience = Patience((0.1,))
    assert not patience.discards(None)
    assert (patience.state, patience.notes) == (None, ())
