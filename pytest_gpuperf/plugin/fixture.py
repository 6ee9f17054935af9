"""The fixture `gpuperf`: what a perf test calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVarTuple

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.settings import of_test

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.suite import Suite
    from pytest_gpuperf.results.records import Measurement

Ts = TypeVarTuple("Ts")


@dataclass
class GpuPerf:
    """Measures, records and has compared what a test gives it."""

    _item: pytest.Item
    _suite: Suite
    _names: set[str | None] = field(default_factory=set[str | None])

    @property
    def device(self) -> str:
        """Where workloads belong, as torch names it: "cuda:0" or "cpu"."""
        chosen = self._suite.recorder.chosen
        return "cpu" if chosen.index is None else f"cuda:{chosen.index}"

    def __call__(
        self,
        fn: Callable[[*Ts], object],
        *args: *Ts,
        items: int = 1,
        name: str | None = None,
        energy: bool | None = None,
    ) -> Measurement:
        """Warm up and measure ``fn(*args)``, which handles `items` items a call.

        A test that measures more than once gives each measurement a `name`. `energy=True` adds joules per item, for up
        to five seconds more. Keyword arguments of the workload go through `functools.partial`.
        """
        __tracebackhide__ = True
        try:
            self._check(fn, items, name)
            settings = of_test(self._item, self._suite.settings)
            if energy is not None:
                settings = replace(settings, energy=energy)
            return self._suite.measure(self._item, fn, args, items, name, settings)
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)

    def _check(self, fn: object, items: object, name: str | None) -> None:
        if not callable(fn):
            raise UsageError(f"gpuperf(fn, *args) measures a callable; {fn!r} is none. Write gpuperf(model, x).")
        if not isinstance(items, int) or items < 1:
            raise UsageError(
                f"items={items!r}: throughput is items per second, so a call handles at least 1 item. "
                f"Give the batch size, or leave it out."
            )
        if name in self._names:
            said = "without a name" if name is None else f"with the name {name!r}"
            raise UsageError(
                f"{self._item.nodeid} measures twice {said}, so the two cannot be told apart. "
                f'Give each its own name: gpuperf(fn, x, name="prefill").'
            )
        self._names.add(name)
