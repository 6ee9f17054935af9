"""What a workload can reach: the tensors and parameters behind a call, and the devices they are on.

Nothing is imported to recognise them: an array has a dtype, a shape and a size in bytes, and a module of torch says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MethodType, ModuleType
from typing import Any, Protocol, cast, runtime_checkable

from pytest_gpuperf.traces.profile import type_name

_DEEPEST = 4  # a lambda over an object with a model in it is 3
_MOST = 10_000


@runtime_checkable
class NodePlacement(Protocol):
    """Which operators a back end gave to which processor. A workload shows it as an attribute `placement`."""

    @property
    def wanted(self) -> str:
        """Who was to run them: "CUDAExecutionProvider"."""
        ...

    @property
    def operators(self) -> Mapping[str, Mapping[str, int]]:
        """By who runs them, how many of each."""
        ...

    @property
    def elsewhere(self) -> Mapping[str, int]:
        """Operators that do real work, and that another processor than the wanted one runs."""
        ...


@dataclass
class Reached:
    """What was found behind a call."""

    parameters: dict[str, int] = field(default_factory=dict[str, int])  # kind of device -> bytes
    tensors: dict[str, int] = field(default_factory=dict[str, int])  # likewise, those that are no parameters
    types: dict[str, int] = field(default_factory=dict[str, int])  # "fp16" -> bytes of parameters
    placement: NodePlacement | None = None

    @property
    def parameter_bytes(self) -> int:
        return sum(self.parameters.values())


def find_tensors(*roots: object) -> Reached:
    """Look into callables, containers and objects, a few steps deep."""
    reached = Reached()
    known_ids: set[int] = set()
    level = list(roots)
    for _ in range(_DEEPEST):
        below: list[object] = []
        for thing in level[:_MOST]:
            if id(thing) in known_ids:
                continue
            known_ids.add(id(thing))
            below += _inside(thing, reached, known_ids)
        level = below
    return reached


def devices_of(output: object) -> dict[str, int]:
    """The devices of the tensors in a result."""
    return find_tensors(output).tensors


def kind_of(tensor: Any) -> str:
    """ "cuda" or "cpu"."""
    return str(getattr(tensor, "device", "cpu")).partition(":")[0]


def _inside(thing: Any, reached: Reached, known_ids: set[int]) -> Iterable[object]:
    """Note what a thing is; return the objects to look into next."""
    if isinstance(thing, (str, bytes, int, float, type, ModuleType)) or thing is None:
        return ()
    if is_tensor(thing):
        _count(reached.tensors, kind_of(thing), thing)
        return ()
    if is_module(thing):
        for parameter in thing.parameters():
            if id(parameter) not in known_ids:
                _count(reached.types, type_name(parameter.dtype), parameter)
        for tensor in (*thing.parameters(), *thing.buffers()):
            if id(tensor) not in known_ids:
                known_ids.add(id(tensor))
                _count(reached.parameters, kind_of(tensor), tensor)
        return ()
    placement = getattr(thing, "placement", None)
    if isinstance(placement, NodePlacement) and reached.placement is None:
        reached.placement = placement
    return _held_by(thing)


def _held_by(thing: Any) -> Iterable[object]:
    """What a container contains, a function closes over, a method belongs to, an object holds."""
    if isinstance(thing, partial):
        bound = cast("partial[object]", thing)
        return (bound.func, *bound.args, *bound.keywords.values())
    if isinstance(thing, Mapping):
        return list(cast("Mapping[object, object]", thing).values())
    if isinstance(thing, (list, tuple, set)):
        return list(cast("list[object]", thing))
    return _of_callable(thing)


def _of_callable(thing: Any) -> Iterable[object]:
    """What a function closes over, what a method belongs to, what an object holds."""
    if isinstance(thing, MethodType):
        return (thing.__self__, thing.__func__)
    if hasattr(cast("type[object]", type(thing)), "__wrapped__"):  # an object that says what it runs: only that counts
        return (thing.__wrapped__,)
    code = getattr(thing, "__code__", None)
    if code is not None:
        cells = [_content(cell) for cell in getattr(thing, "__closure__", None) or ()]
        names = [thing.__globals__.get(name) for name in code.co_names]
        return [*cells, *(value for value in names if callable(value) or is_tensor(value))]
    return list(getattr(thing, "__dict__", {}).values())


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def is_tensor(thing: Any) -> bool:
    """Whether it is an array of any library."""
    return hasattr(thing, "dtype") and hasattr(thing, "shape") and isinstance(getattr(thing, "nbytes", None), int)


def is_module(thing: Any) -> bool:
    """Whether it is one of torch's modules, compiled and scripted ones included."""
    return any((c.__module__, c.__name__) == ("torch.nn.modules.module", "Module") for c in type(thing).__mro__)


def _count(into: dict[str, int], kind: str, tensor: Any) -> None:
    into[kind] = into.get(kind, 0) + int(tensor.nbytes)
