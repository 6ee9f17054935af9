from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
import torch

from pytest_gpuperf.errors import MeasurementError
from pytest_gpuperf.measure.counting import counted
from pytest_gpuperf.records.model import Ceiling, Measurement

MEASURED = Measurement(
    session="s", items=1, clock="host", blocks=((0.010, 0.010),), span_calls=1, ended="steady", interval=0.0
)


@dataclass
class Counting:
    """A workload of so many operations on a device that shows these ceilings, one after the other."""

    flops: int
    products: list[float | None] = field(default_factory=list)

    def ceiling(self):
        product = self.products.pop(0)
        return None if product is None else Ceiling(product=product, copy=1e9)


def test_a_plain_workload_counts_nothing():
    assert counted(MEASURED, len) is MEASURED
    assert MEASURED.flops_per_second is None
    assert MEASURED.ceiling_share is None


def test_operations_and_their_share_of_the_ceiling_are_kept():
    known = counted(MEASURED, Counting(500, [100_000.0]))
    assert (known.flops, known.flops_per_second, known.ceiling_share) == (500, 50_000.0, 0.5)


def test_a_device_without_a_ceiling_refuses_nothing():
    known = counted(MEASURED, Counting(500, [None]))
    assert known.ceiling_share is None
    assert known.flops_per_second == 50_000.0


def test_more_than_the_device_can_do_is_refused():
    by_events = msgspec.structs.replace(MEASURED, clock="cuda-event")
    with pytest.raises(MeasurementError, match="125% of what a large matrix product reaches"):
        counted(by_events, Counting(500, [40_000.0] * 5))
    with pytest.raises(MeasurementError, match="250% of what a large matrix product reaches"):
        counted(MEASURED, Counting(500, [20_000.0] * 5))


def test_by_the_hosts_clock_a_little_more_is_a_ceiling_that_neighbours_held_down():
    known = counted(MEASURED, Counting(500, [40_000.0] * 5))
    assert (known.ceiling, known.flops) == (None, 500)
    assert known.notes[-1].startswith("the ceiling is not known: this does 125% of what a large matrix product reached")


def test_a_machine_that_was_busy_is_asked_again():
    assert counted(MEASURED, Counting(500, [40_000.0, 100_000.0])).ceiling_share == 0.5


class Failing:
    """A workload whose counting, or whose ceiling, fails."""

    def __init__(self, flops: int | Exception, ceiling: Ceiling | Exception) -> None:
        self._flops, self._ceiling = flops, ceiling

    @property
    def flops(self) -> int:
        if isinstance(self._flops, Exception):
            raise self._flops
        return self._flops

    def ceiling(self) -> Ceiling:
        if isinstance(self._ceiling, Exception):
            raise self._ceiling
        return self._ceiling


def test_a_ceiling_that_finds_no_memory_leaves_the_measurement_and_its_operations():
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 256.00 MiB")
    known = counted(MEASURED, Failing(500, full))
    assert (known.flops, known.ceiling, known.samples) == (500, None, MEASURED.samples)
    assert known.notes == ("the ceiling is not known: the device had no memory left for that",)


def test_operations_that_cannot_be_counted_leave_the_measurement():
    unknown = NotImplementedError("aten::mine on meta tensors\nand much advice")
    known = counted(MEASURED, Failing(unknown, Ceiling(product=1e5, copy=1e9)))
    assert (known.flops, known.ceiling) == (None, None)
    assert known.notes == (
        "floating-point operations were not counted: NotImplementedError: aten::mine on meta tensors",
    )
