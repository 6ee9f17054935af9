"""One call under torch's profiler, kept as a small record: what ran, how often, on what, and for how long.

It is never a timed call. Its times are those of one call: they explain a measured figure and never replace it.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, prod
from time import perf_counter
from typing import Any, NamedTuple

from pytest_gpuperf.records.model import KERNELS_KEPT, Kernel, Profile
from pytest_gpuperf.traces.capture import Activity, Capture, from_events, leaving, quietly
from pytest_gpuperf.traces.names import outermost, short, shortened, units

_TYPES = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_IMAGES = (4, 5)  # dimensions of tensors that have a memory format
_WORDS = {True: "on", False: "off"}
_OLDER_NAMES = {"tf32": "high", "bf16": "medium"}  # of a precision of products; any other is the highest
_TRIES = 3  # on a processor, whose other processes may take their turn just then
_DISTURBED = 1.5  # times a timed call, and ...
_TRACING = 1e-3  # ... seconds, which tracing itself may add to a short call: beyond both, the call was disturbed


class Input(NamedTuple):
    """The main input of one operator: the first of those with the most dimensions, so no bias and no scalar."""

    kind: str  # "bf16 channels_last"
    shape: str  # "8x3x224x224"


def type_name(dtype: object) -> str:
    """``torch.bfloat16`` -> ``bf16``."""
    name = str(dtype).removeprefix("torch.")
    return _TYPES.get(name, name)


def inputs_of(results: Any) -> dict[int, Input]:
    """Operator's number in the trace -> its main input; empty with a torch whose profiler keeps no such tree."""
    tree = getattr(results, "experimental_event_tree", None)
    if tree is None:
        return {}
    found: dict[int, Input] = {}
    level = list(tree())
    while level:
        node = level.pop()
        level += node.children
        if node.tag.name == "TorchOp":
            tensors = list(_tensors(node.typed[1].inputs))
            if tensors:
                main = max(tensors, key=lambda t: len(t.sizes))
                found[node.correlation_id] = Input(_kind(main), "x".join(map(str, main.sizes)) or "scalar")
    return found


def _tensors(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _tensors(value)
        elif hasattr(value, "sizes") and value.dtype is not None:
            yield value


def _kind(tensor: Any) -> str:
    name = type_name(tensor.dtype)
    return f"{name} channels_last" if is_channels_last(tensor.sizes, tensor.strides) else name


def is_channels_last(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the channels lie side by side; where both orders are one and the same (1 channel, 1 pixel), no."""
    if len(sizes) not in _IMAGES or len(strides) != len(sizes):
        return False
    pixels = [size for size in sizes[2:] if size > 1]
    return sizes[1] > 1 and bool(pixels) and strides[1] == 1 and all(stride >= sizes[1] for stride in strides[2:])


def torch_settings(*, cuda: bool) -> dict[str, str]:
    """Switch -> its state, in words."""
    import torch  # noqa: PLC0415 - the caller has run it

    kind = "cuda" if cuda else "cpu"
    found: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "matmul precision": _matmul_precision(torch, cuda=cuda),
        "autocast": str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
        if torch.is_autocast_enabled(kind)
        else "off",
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    if cuda:
        found |= {
            "cudnn": torch.backends.cudnn.enabled,
            "cudnn.benchmark": torch.backends.cudnn.benchmark,
            "cudnn.deterministic": torch.backends.cudnn.deterministic,
            "flash attention": torch.backends.cuda.flash_sdp_enabled(),
        }
        if torch.backends.cudnn.is_available():
            found["cudnn tf32"] = _tf32(torch.backends.cudnn)
    else:
        found["onednn"] = torch.backends.mkldnn.enabled
    return {name: _WORDS[value] if isinstance(value, bool) else str(value) for name, value in found.items()}


def _matmul_precision(torch: Any, *, cuda: bool) -> str:
    """The newer switch (torch 2.9) is what kernels go by; reading the older raises where the two differ."""
    backends = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return torch.get_float32_matmul_precision()
    switch = backends.cuda.matmul if cuda else backends.mkldnn.matmul
    return _OLDER_NAMES.get(switch.fp32_precision, "highest")


def _tf32(cudnn: Any) -> bool | str:
    """Newer torch has a switch for convolutions and one for recurrent layers."""
    if not hasattr(cudnn, "fp32_precision"):
        return cudnn.allow_tf32
    convolutions, recurrent = (part.fp32_precision == "tf32" for part in (cudnn.conv, cudnn.rnn))
    if convolutions == recurrent:
        return convolutions
    return f"{_WORDS[convolutions]} in convolutions, {_WORDS[recurrent]} in recurrent layers"


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
    """Run one call, which takes about that many seconds; None where torch recorded nothing: another library did it.

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
    timeline = Capture(tuple(Activity(p.name, p.start, p.seconds) for p in ordered), (), ())
    groups: defaultdict[tuple[str, str | None], list[Piece]] = defaultdict(list)
    for piece in ordered:
        groups[piece.name, piece.within].append(piece)
    kernels = sorted((_kernel(group) for group in groups.values()), key=lambda k: (-k.seconds, k.name))
    return Profile(
        session=session,
        unit=unit,
        launches=len(ordered),
        busy=timeline.busy,
        idle=timeline.gaps if wall is None else max(0.0, wall - timeline.busy),
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
    every = list(events)
    launchers: defaultdict[tuple[str, float], list[Any]] = defaultdict(list)
    for event in every:
        for kernel in getattr(event, "kernels", ()):
            launchers[kernel.name, round(float(kernel.duration), 3)].append(event)
    capture = from_events(every)
    pieces: list[Piece] = []
    for activity in (*capture.kernels, *capture.copies):
        # torch says only the name and the length of a kernel that an operator launched. Where two kernels are alike in
        # both, their operators may be swapped, which is harmless.
        operators = launchers.get((activity.name, round(activity.seconds * 1e6, 3)))
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
    """Its own; an operator that only makes room or fills has none: then that of the operator around it."""
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
