"""The fixtures `gpuperf` and `parity`: what a test calls, and what is refused before anything is timed."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVarTuple, cast

import pytest

from pytest_gpuperf.errors import UsageError, WorkloadError
from pytest_gpuperf.plugin.progress import phase_named
from pytest_gpuperf.plugin.session import SESSION
from pytest_gpuperf.plugin.settings import of_test
from pytest_gpuperf.plugin.ways import Request

if TYPE_CHECKING:
    from pytest_gpuperf.parity import Parity, Tensor
    from pytest_gpuperf.plugin.session import GpuperfSession
    from pytest_gpuperf.records.model import Measurement


Ts = TypeVarTuple("Ts")

MOST_ITEMS = 2**40
LONGEST_ID = 1000  # characters: more than a table can show
LAZY = (map, filter, zip, enumerate, reversed, iter)


@dataclass
class GpuPerf:
    """Measures, records and has compared what a test gives it."""

    _item: pytest.Item
    _session: GpuperfSession
    _names: set[str | None] = field(default_factory=set[str | None])

    @property
    def device(self) -> str:
        """Where workloads belong, as torch names it: "cuda:0" or "cpu"."""
        return self._session.recorder.chosen.torch_name

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
        self._session.called.add(self._item.nodeid)
        try:
            self._check(fn, items, name)
            settings = of_test(self._item, self._session.settings)
            if energy is not None:
                settings = replace(settings, energy=energy)
            if self._session.settings.parity_first:
                refuse_wrong(fn)
            with phase_named():
                return self._session.way.measure(Request(self._item, fn, args, items, name, settings))
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        except WorkloadError as error:
            if isinstance(error.__cause__, pytest.exit.Exception):  # the workload wants the whole session to end
                raise error.__cause__ from None
            raise

    def _check(self, fn: object, items: object, name: str | None) -> None:
        if not callable(fn):
            raise UsageError(f"gpuperf(fn, *args) measures a callable; {fn!r} is none. Write gpuperf(model, x).")
        refuse_uncalled(fn)
        if not isinstance(items, int) or isinstance(items, bool) or not 1 <= items <= MOST_ITEMS:
            raise UsageError(
                f"items={items!r}: throughput is items per second, so a call handles a whole number of them, from 1 to "
                f"2**40. Give the batch size, or leave it out."
            )
        take_name(self._item, self._names, name, 'gpuperf(fn, x, name="prefill")')


def take_name(item: pytest.Item, names: set[str | None], name: str | None, example: str) -> None:
    """Add a measurement's name to those of its test; refused where it is there already, or cannot be kept."""
    refuse_unwritable_name(item, name)
    if name in names:
        manner = "without a name" if name is None else f"with the name {name!r}"
        raise UsageError(
            f"{item.nodeid} measures twice {manner}, so the two cannot be told apart. Give each its own name: "
            f"{example}."
        )
    names.add(name)


def name_of_part(name: str | None, part: str) -> str:
    """What a part of a measurement is called, which is a case of its own."""
    return part if name is None else f"{name}-{part}"


def refuse_unwritable_name(item: pytest.Item, name: object) -> None:
    """Refuse a case that no file can hold: the other cases of its file would be lost with it."""
    if name is not None and (not isinstance(name, str) or not name):
        raise UsageError(f'name={name!r}: the name of a measurement is a text, like name="prefill".')
    case = f"{item.nodeid}#{name}"
    if len(case) > LONGEST_ID:
        raise UsageError(
            f"The name of this case would have {len(case):,} characters, and {LONGEST_ID:,} are the most. Give a "
            f'measurement a short name, and a parameter an id: pytest.param(value, id="short").'
        )
    if any(not c.isprintable() for c in case):
        raise UsageError(
            f"{case!a} holds characters that cannot be shown. Give the measurement another name, or the parameter an "
            f'id: pytest.param(value, id="plain").'
        )


def refuse_uncalled(fn: object) -> None:
    """Refuse a call that only makes a coroutine, a generator or an iterator: it is over before the work has begun."""
    call = fn
    while isinstance(call, partial):
        call = cast("partial[object]", call).func
    kinds = (
        (inspect.iscoroutinefunction, "a coroutine", "lambda: loop.run_until_complete({}(x))"),
        (inspect.isasyncgenfunction, "an asynchronous generator", "a function that runs it to its end"),
        (inspect.isgeneratorfunction, "a generator", "lambda: list({}(x))"),
        (_is_lazy, "an iterator", "lambda: list({}(f, xs))"),
    )
    name = getattr(call, "__name__", type(call).__name__)
    for is_one, product, instead in kinds:
        if is_one(call) or is_one(getattr(call, "__call__", None)):  # noqa: B004 - an object's own, where it is one
            raise UsageError(
                f"{name} gives {product}: calling it does none of its work, so there is nothing to time. "
                f"Measure what runs it: {instead.format(name)}."
            )


def _is_lazy(call: object) -> bool:
    return any(call is lazy for lazy in LAZY)


def session_of(request: pytest.FixtureRequest) -> GpuperfSession:
    """The session of a test that asks for one of our fixtures."""
    session = request.config.stash[SESSION]
    if session.shared:
        pytest.fail(
            "gpuperf does not measure under pytest-xdist: the workers would share one device and slow each other "
            "down. Run the performance tests without it: pytest -n 0 (or -p no:xdist)",
            pytrace=False,
        )
    return session


def refuse_silence(request: pytest.FixtureRequest) -> None:
    """A test that asks to measure, passes and has measured nothing looks like a guard and is none."""
    test, session = request.node.nodeid, request.config.stash[SESSION]
    if test not in session.passed or test in session.called or session.started_for_us:
        return
    session.called.add(test)  # said once, where it asks for both fixtures
    text = f"{test} asks for gpuperf and measures nothing. Call gpuperf(fn, *args) in it, or drop the fixture."
    if session.settings.strict:
        pytest.fail(f"{text} (--gpuperf-strict)", pytrace=False)
    warnings.warn(pytest.PytestWarning(text), stacklevel=1)


class ParityCheck:
    """Fails a test whose candidate does not compute what its reference computes."""

    def __call__(
        self,
        candidate: Callable[..., Any],
        reference: Callable[..., Any],
        *inputs: Tensor,
        precision: str = "fp32",
        exact: Callable[..., Any] | None = None,
    ) -> Parity:
        """Hold `candidate` and `reference` on `inputs` against the reference in fp64.

        The inputs and the reference are fp32; the candidate gets the inputs in its precision's type: fp32, tf32, fp16,
        bf16, autocast_fp16, autocast_bf16, int8. `exact` computes in fp64 what a reference that cannot does in fp32.
        """
        __tracebackhide__ = True
        from pytest_gpuperf.parity import compare

        try:
            found = compare(candidate, reference, *inputs, precision=precision, exact=exact)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if not found.agrees:
            pytest.fail(found.message, pytrace=False)
        return found


def refuse_wrong(fn: object) -> None:
    """Fail the test of a network that does not compute what its model computes; others have no reference to ask."""
    __tracebackhide__ = True
    if "pytest_gpuperf.backends" not in sys.modules:  # then nobody opened a network
        return
    from pytest_gpuperf.backends import Opened
    from pytest_gpuperf.parity import compare_network

    if not isinstance(fn, Opened):
        return
    found = compare_network(fn)
    if not found.agrees:
        pytest.fail(
            f"Not timed (--gpuperf-parity-first): {fn.backend} runs {fn.workload.name} in {fn.precision.name} wrongly, "
            f"so how fast it is says nothing.\n{found.message}\n"
            f"To time it all the same, leave --gpuperf-parity-first out.",
            pytrace=False,
        )
