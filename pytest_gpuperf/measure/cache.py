"""The state of the cache that a call finds: part of what a case is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gpuperf.device import caches
from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.measure.plan import Plan

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen

_ROTATED = 5  # times as large as the cache the copies of the arguments are together


class PreparedCall(NamedTuple):
    """What is called, and what runs untimed before each span; where something does, a span is one call."""

    call: Call
    before_span: Call | None = None


def workload_call(fn: Callable[..., object], args: tuple[Any, ...], plan: Plan, chosen: Chosen) -> PreparedCall:
    """Bind the arguments, as the plan's cache policy asks.

    warm    the same arguments every time: they stay in the cache, as in a loop over one model
    flush   the last-level cache is overwritten before every call
    rotate  every call gets another copy of the tensors among the arguments
    """
    call = partial(fn, *args) if args else fn
    if plan.cache == "flush":
        return PreparedCall(call, caches.flush(chosen.device, chosen.index))
    if plan.cache == "rotate":
        return PreparedCall(_rotating(fn, args, caches.size(chosen.device, chosen.index)))
    return PreparedCall(call)


def _rotating(fn: Callable[..., object], args: tuple[Any, ...], cache: int) -> Call:
    held = sum(_bytes(a) for a in args)
    if held == 0:
        raise UsageError(
            "The cache policy 'rotate' cycles copies of the tensors among the arguments, and there are none. Pass the "
            "inputs as arguments, gpuperf(fn, x), or use the policy 'flush'."
        )
    copies = -(-_ROTATED * cache // held) + 1
    turns = cycle([args, *(tuple(_copy(a) for a in args) for _ in range(copies - 1))])
    return lambda: fn(*next(turns))


def _bytes(argument: Any) -> int:
    # Tensors and arrays, without importing what they belong to.
    return int(argument.nbytes) if hasattr(argument, "nbytes") and hasattr(argument, "shape") else 0


def _copy(argument: Any) -> Any:
    if not _bytes(argument):
        return argument
    return argument.detach().clone() if hasattr(argument, "detach") else argument.copy()
