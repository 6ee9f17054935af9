"""One call under torch's profiler, kept as a small record: what ran, how often, on what, and for how long.

It is never a timed call, and its times are one call's: they explain a figure and are none.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, prod
from time import perf_counter
from typing import Any, NamedTuple

from pytest_gpuperf.results.records import KERNELS_KEPT, Kernel, Profile
from pytest_gpuperf.traces.capture import Activity, Capture, from_events, leaving, quietly
from pytest_gpuperf.traces.kernel_names import shortened
from pytest_gpuperf.traces.operators import outermost, short, units
from pytest_gpuperf.traces.settings import torch_settings
from pytest_gpuperf.traces.tensors import Input, inputs_of

_TRIES = 3  # on a processor, whose other processes may take their turn just then
_DISTURBED = 1.5  # times a timed call, and ...
_TRACING = 1e-3  # ... seconds: what tracing itself takes at most of a call that is soon done


class Piece(NamedTuple):
    """One launch of a kernel, or one run of an operator that computes."""

    name: str
    within: str | None
    start: float  # seconds
    seconds: float
    input: Input | None


def profile_of(
    call: Callable[[], object],
    synchronize: Callable[[], None],
    *,
    cuda: bool,
    session: str,
    seconds: float,
    parameters: Mapping[str, int],
) -> Profile | None:
    """Run one call, which takes about that many seconds; None where nothing of it was seen: another library did it.

    On a processor a call that something else interrupted is run again.
    """
    pieces: list[Piece] = []
    least = inf
    with quietly():
        # The first profile of a process makes the first operator in it slower.
        with leaving(synchronize, cuda=cuda), _profiler(cuda=cuda):
            synchronize()
        for _ in range(1 if cuda else _TRIES):
            wall, trace = _traced(call, synchronize, cuda=cuda)
            if wall < least:
                least = wall
                read = on_card if cuda else on_host
                pieces = read(trace.function_events or (), inputs_of(trace.kineto_results))
            if least <= _DISTURBED * seconds + _TRACING:
                break
    if not pieces:
        return None
    return summarized(
        pieces,
        unit="kernel" if cuda else "operator",
        wall=None if cuda else least,
        session=session,
        parameters=parameters,
        settings=torch_settings(cuda=cuda),
    )


def _traced(call: Callable[[], object], synchronize: Callable[[], None], *, cuda: bool) -> tuple[float, Any]:
    """Seconds of the call on the host, and torch's trace of it."""
    with leaving(synchronize, cuda=cuda), _profiler(cuda=cuda) as profiler:
        start = perf_counter()
        call()
        synchronize()
        wall = perf_counter() - start
    return wall, getattr(profiler, "profiler", profiler)


def summarized(
    pieces: Sequence[Piece],
    *,
    unit: Any,
    wall: float | None,
    session: str = "-",
    parameters: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Profile:
    """The record. `wall`: the seconds of the call on the host; None where gaps between kernels are what counts."""
    ordered = sorted(pieces, key=lambda p: p.start)
    seen = Capture(tuple(Activity(p.name, p.start, p.seconds) for p in ordered), (), ())
    grouped: defaultdict[tuple[str, str | None], list[Piece]] = defaultdict(list)
    for piece in ordered:
        grouped[piece.name, piece.within].append(piece)
    kernels = sorted((_kernel(group) for group in grouped.values()), key=lambda k: (-k.seconds, k.name))
    return Profile(
        session=session,
        unit=unit,
        launches=len(ordered),
        busy=seen.busy,
        idle=seen.gaps if wall is None else max(0.0, wall - seen.busy),
        kernels=tuple(kernels[:KERNELS_KEPT]),
        parameters=dict(parameters or {}),
        settings=dict(settings or {}),
    )


def on_host(events: Iterable[Any], inputs: Mapping[int, Input]) -> list[Piece]:
    """The operators that compute."""
    return [
        Piece(
            name=short(event.name),
            within=_within(event, root),
            start=event.time_range.start * 1e-6,
            seconds=(event.time_range.end - event.time_range.start) * 1e-6,
            input=_input_of(event, inputs),
        )
        for event, root in units(events)
    ]


def on_card(events: Iterable[Any], inputs: Mapping[int, Input]) -> list[Piece]:
    """The kernels, memory copies and fills, each with the operator that launched it, where torch knows one."""
    known = list(events)
    launched: defaultdict[tuple[str, float], list[Any]] = defaultdict(list)
    for event in known:
        for kernel in getattr(event, "kernels", ()):
            launched[kernel.name, round(float(kernel.duration), 3)].append(event)
    seen = from_events(known)
    pieces: list[Piece] = []
    for activity in (*seen.kernels, *seen.copies):
        # torch tells the kernels of an operator by name and length. Two alike may be taken for one another: harmless.
        operators = launched.get((activity.name, round(activity.seconds * 1e6, 3)))
        operator = operators.pop() if operators else None
        pieces.append(
            Piece(
                name=shortened(activity.name),
                within=None if operator is None else short(outermost(operator).name),
                start=activity.start,
                seconds=activity.seconds,
                input=None if operator is None else _input_of(operator, inputs),
            )
        )
    return pieces


def _within(event: Any, root: Any) -> str | None:
    name = short(root.name)
    return None if name == short(event.name) else name


def _input_of(event: Any, inputs: Mapping[int, Input]) -> Input | None:
    """Its own; what only makes room or fills has none, and then that of the operator around it."""
    while event is not None:
        if event.id in inputs:
            return inputs[event.id]
        event = event.cpu_parent
    return None


def _kernel(group: Sequence[Piece]) -> Kernel:
    kinds = Counter(p.input.kind for p in group if p.input)
    shapes = [p.input.shape for p in group if p.input]
    return Kernel(
        name=group[0].name,
        within=group[0].within,
        count=len(group),
        seconds=sum(p.seconds for p in group),
        inputs=dict(kinds.most_common()),
        shape=max(shapes, key=_elements) if shapes else None,
    )


def _elements(shape: str) -> int:
    return prod(int(size) for size in shape.split("x") if size.isdecimal())


def _profiler(*, cuda: bool) -> Any:
    """On the processor the inner one: torch.profiler's own takes a second to load what is not needed here."""
    if not cuda:
        from torch.autograd.profiler import profile  # noqa: PLC0415 - torch is heavy

        return profile(use_kineto=True, record_shapes=True)
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415 # pragma: no cover - needs a GPU

    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]  # pragma: no cover - needs a GPU
    return profile(activities=activities, record_shapes=True)  # pragma: no cover - needs a GPU
