"""Slow-downs of the scripted card, block by block."""

from __future__ import annotations

import pytest
from nvml.standin import LOST, NO_PERMISSION, UNSUPPORTED, Machine

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.health import CardWatch, identified, limits, readings, settings
from pytest_gpuperf.device.nvml import NvmlDevice
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import DeviceLostError
from pytest_gpuperf.records.model import Device

THERMAL, POWER, BOARD = 1, 0, 3


def card() -> NvmlDevice:
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    return found[0]


class Steps:
    """A clock that goes on by a second, or so, each time it is read."""

    def __init__(self, step: float = 1.0) -> None:
        self.time = 0.0
        self.step = step

    def __call__(self) -> float:
        self.time += self.step
        return self.time


def block(watch: CardWatch) -> str | None:
    watch.before_block()
    return watch.after_block()


@pytest.mark.parametrize(
    ("reasons", "state"),
    [
        (0x00, None),
        (0x01, None),  # idle
        (0x04, None),  # software power cap
        (0x10, None),  # sync boost
        (0x20, "thermal slow-down"),
        (0x48, "thermal slow-down"),
        (0x88, "power brake"),
        (0x08, "hardware slow-down"),
        (0xC8, "power brake and thermal slow-down"),
    ],
)
def test_reasons_of_the_moment(machine: Machine, reasons: int, state: str | None) -> None:
    machine.change(reasons=reasons)
    assert block(CardWatch(card())) == state


def test_a_slowdown_between_two_looks_is_seen_by_the_time_it_took(machine: Machine) -> None:
    watch = CardWatch(card(), Steps())
    watch.before_block()
    machine.restart(ago=20)
    machine.change(violations=((THERMAL, 10.0, 10.5),))
    assert watch.after_block() == "thermal slow-down"
    assert block(watch) is None  # it is over


def test_one_look_serves_two_blocks_that_follow_each_other_and_misses_nothing_between(machine: Machine) -> None:
    watch = CardWatch(card(), Steps(0.003))
    assert block(watch) is None
    machine.restart(ago=20)
    machine.change(violations=((THERMAL, 10.0, 10.5),))  # after one block, and before the next
    states = [block(watch) for _ in range(20)]  # 120 ms
    assert states.count("thermal slow-down") == 1
    assert states.index("thermal slow-down") * 0.006 <= 0.05


def test_a_slowed_block_leaves_no_mark_on_the_next(machine: Machine) -> None:
    watch = CardWatch(card(), Steps(0.003))
    watch.before_block()
    machine.change(reasons=0x40)
    assert watch.after_block() == "thermal slow-down"
    machine.change(reasons=0)
    assert block(watch) is None


def test_short_blocks_cost_few_calls(machine: Machine) -> None:
    """It was 17 a block, while the card idled: a block of 3 ms took as long again to be asked about."""
    watch = CardWatch(card(), Steps(0.003))
    block(watch)
    before = machine.calls
    for _ in range(1000):  # 6 s
        block(watch)
    assert (machine.calls - before) / 1000 == pytest.approx(1.6, abs=0.1)
    assert len(watch.health(None).utilizations) == pytest.approx(60, abs=3)


def test_a_neighbour_that_came_and_went_within_the_measurement_is_named(machine: Machine) -> None:
    watch = CardWatch(card(), Steps(0.3))
    block(watch)
    machine.change(processes=((2**22 + 1, 1),))
    for _ in range(2):
        block(watch)
    machine.change(processes=())
    assert f"process {2**22 + 1} used this GPU meanwhile" in watch.health(None).notes[0]


def test_a_slowdown_too_short_to_matter_is_let_pass(machine: Machine) -> None:
    watch = CardWatch(card(), Steps())
    watch.before_block()
    machine.restart(ago=20)
    machine.change(violations=((THERMAL, 10.0, 10.005),))
    assert watch.after_block() is None


def test_ordinary_limits_are_noted(machine: Machine) -> None:
    watch = CardWatch(card(), Steps())
    block(watch)
    watch.before_block()
    machine.restart(ago=20)
    machine.change(violations=((POWER, 10.0, 11.0), (BOARD, 10.0, 11.0)))
    assert watch.after_block() is None
    notes = watch.health(None).notes
    assert "software power cap in 1 of 2 blocks: ordinary under load" in notes
    assert "the board's own limit held the clock in 1 of 2 blocks" in notes


def test_health_tells_how_the_card_ran(machine: Machine) -> None:
    watch = CardWatch(card(), Steps())
    for clock, heat in ((1410, 50), (1290, 61), (1300, 60)):
        machine.change(sm_clock=clock, temperature=heat, utilization=heat, power=heat)
        block(watch)
    machine.change(processes=((2**22 + 1, 1),))
    block(watch)
    health = watch.health("thermal slow-down")
    assert (health.temperature, health.sm_clock, health.state) == (61, 1300, "thermal slow-down")
    assert health.utilizations == (50, 61, 60, 60)
    assert health.watts is not None
    assert health.notes == (f"process {2**22 + 1} used this GPU meanwhile: the figure is of a shared GPU",)


def test_what_is_not_told_is_no_trouble(machine: Machine) -> None:
    for function in (
        "nvmlDeviceGetViolationStatus",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetClockInfo",
    ):
        machine.fails(function, NO_PERMISSION)
    watch = CardWatch(card())
    assert watch.after_block() is None  # also without a look before
    health = watch.health(None)
    assert (health.temperature, health.sm_clock, health.notes) == (None, None, ())


def test_a_lost_card_ends_the_measurement(machine: Machine) -> None:
    watch = CardWatch(card())
    watch.before_block()
    machine.fails("*", LOST)
    with pytest.raises(DeviceLostError, match="What was measured before is kept"):
        watch.after_block()


def test_settings_and_identity_come_from_the_card(machine: Machine) -> None:
    machine.change(persistence=0, power_limit=250_000)
    assert settings(card()) == {"persistence": "off", "ecc": "on"}
    device = identified(Device(kind="cuda", name="A100", memory=1), card())
    assert (device.power_limit, device.mig) == (250.0, None)
    machine.fails("nvmlDeviceGetEccMode", UNSUPPORTED)
    machine.fails("nvmlDeviceGetEnforcedPowerLimit", UNSUPPORTED)
    assert settings(card()) == {"persistence": "off"}
    assert identified(device, card()).power_limit is None


def test_what_is_looked_at(machine: Machine) -> None:
    seen = readings(card())
    assert (seen.temperature, seen.sm_clock, seen.watts, seen.utilization) == (45, 1410, 60.0, 0)
    assert set(limits(card(), 0.0).violations) == {THERMAL, POWER, BOARD}
