"""A GPU's clock: spans of events beside the profiler's kernels in the same run, beside triton, beside themselves."""
# pragma: no cover - every line needs a GPU
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false, reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from statistics import median
from typing import Any, cast

from pytest_gpuperf.device import caches
from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.instrument.repeats import held, pause_between_calls, repeats, span_calls, warm
from pytest_gpuperf.records.certificate import Row, impossible
from pytest_gpuperf.records.units import format_seconds, many
from pytest_gpuperf.traces.capture import capture

_LEAD_CYCLES = 40_000_000  # 20 ms at 2 GHz: enough for whatever is launched behind it, and for the profiler beside it
_BIAS = 0.01
_BIAS_SECONDS = 1e-6
_STEADY = 0.005
_TRITON = 0.05
_RUNS = 7


def product(chosen: Chosen) -> Iterator[Row]:
    """One large kernel."""
    import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

    a = torch.randn(1024, 1024, device=chosen.torch_name).half()  # below the power limit, where its clock stands still
    yield from _by_events("a product", lambda: a @ a, chosen)


def adds(chosen: Chosen) -> Iterator[Row]:
    """Many small kernels, and one alone."""
    import torch  # noqa: PLC0415

    x = torch.ones(1 << 16, device=chosen.torch_name)

    def work() -> None:
        for _ in range(20):
            x.add_(1)

    yield from _by_events("20 small kernels", work, chosen)
    yield from _by_events("one small kernel", lambda: x.add_(1), chosen)


def graph(chosen: Chosen) -> Iterator[Row]:
    """Kernels that one launch replays."""
    import torch  # noqa: PLC0415

    x = torch.ones(1 << 16, device=chosen.torch_name)

    def work() -> None:
        for _ in range(100):
            x.add_(1)

    work()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        work()
    yield from _by_events("a graph of 100 kernels", captured.replay, chosen)


def model(chosen: Chosen) -> Iterator[Row]:
    """A network that keeps its device at work."""
    import torch  # noqa: PLC0415

    layers: list[Any] = []
    for wide in (3, 64, 128, 256):
        layers += [torch.nn.Conv2d(wide, max(64, 2 * wide), 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    network = torch.nn.Sequential(*layers).eval().to(chosen.torch_name)
    images = torch.randn(16, 3, 224, 224, device=chosen.torch_name)
    with torch.inference_mode():
        yield from _by_events("a network of convolutions", lambda: network(images), chosen)


def beside(chosen: Chosen) -> Iterator[Row]:
    """Work on a stream that the events are not on: they must not be believed."""
    import torch  # noqa: PLC0415

    a = torch.randn(2048, 2048, device=chosen.torch_name).half()
    out = torch.empty_like(a)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()

    def work() -> None:
        with torch.cuda.stream(side):
            torch.matmul(a, a, out=out)

    warm(work, chosen.clock.synchronize)
    yield _clock_row("a product on a side stream", work, chosen, "host")[1]


def waiting(chosen: Chosen) -> Iterator[Row]:
    """A call that waits for the device inside: what events then say holds the host's own time."""
    import torch  # noqa: PLC0415

    x = torch.ones(1 << 16, device=chosen.torch_name)

    def work() -> object:
        return x.sum().item()

    warm(work, chosen.clock.synchronize)
    yield _clock_row("a sum and .item()", work, chosen, "host")[1]


def _by_events(what: str, call: Call, chosen: Chosen) -> Iterator[Row]:
    warm(call, chosen.clock.synchronize)
    clock, row = _clock_row(what, call, chosen, "cuda-event")
    yield row
    calls = span_calls(call, clock)
    yield repeats(what, call, chosen, _STEADY)
    if clock.name == "cuda-event":
        yield _beside_the_profiler(what, call, calls)
        with suppress(ImportError):
            yield _beside_triton(what, call, clock, chosen)


def _clock_row(what: str, call: Call, chosen: Chosen, wanted: str) -> tuple[Clock, Row]:
    clock, note = chosen.clock.fitted(call)
    figure = clock.name if note is None else f"{clock.name}: {note}"
    return clock, held(f"{what}: the clock that is believed", figure, wanted, holds=clock.name == wanted)


def _beside_the_profiler(what: str, call: Call, calls: int) -> Row:
    """Event to event, and the kernels of the same calls, with one pause more: each call has one before it."""
    import torch  # noqa: PLC0415

    events: list[float] = []
    spans: list[float] = []
    pauses: list[float] = []
    kernels = 0
    name = f"{what}: events beside the kernels"
    for _ in range(_RUNS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def once(start: Any = start, end: Any = end) -> None:
            torch.cuda._sleep(_LEAD_CYCLES)  # noqa: SLF001 - the kernel that spins; torch has no other name for it
            start.record()
            for _ in range(calls):
                call()
            end.record()

        trace = capture(once, torch.cuda.synchronize, cuda=True)
        seen = (k for k in (*trace.kernels, *trace.copies) if "spin" not in k.name.lower())
        work = sorted(seen, key=lambda kernel: kernel.start)
        if not work:
            return impossible("timing", name, "the profiler sees no kernels on this machine")
        kernels = len(work)
        pauses.append(pause_between_calls([(k.start, k.start + k.seconds) for k in work], calls))
        spans.append(max(k.start + k.seconds for k in work) - work[0].start + pauses[-1])
        events.append(start.elapsed_time(end) * 1e-3)
    bias, span = median(e - s for e, s in zip(events, spans, strict=True)), median(spans)
    figure = (
        f"{bias * 1e6:+.2f} us on a span of {format_seconds(span)} ({many(kernels, 'kernel')}, "
        f"{median(pauses) * 1e6:.2f} us between calls)"
    )
    return held(name, figure, "1 us or 1%", holds=abs(bias) <= max(_BIAS_SECONDS, _BIAS * span))


def _beside_triton(what: str, call: Call, clock: Clock, chosen: Chosen) -> Row:
    """With caches emptied before each call, as its `do_bench` does, which counts launching too where that is longer."""
    from triton import testing  # noqa: PLC0415 - may be missing

    flush = caches.flush(chosen.device, chosen.index)
    pairs: list[tuple[float, float]] = []
    for _ in range(3):
        ours = median(clock.block(call, 40, 1, before_span=flush).samples)
        pairs.append((ours, cast("float", testing.do_bench(call, warmup=25, rep=60, return_mode="median")) * 1e-3))
    ours, theirs = (median(values) for values in zip(*pairs, strict=True))
    figure = f"{format_seconds(ours)} and {format_seconds(theirs)}: {ours / theirs - 1:+.1%}"
    bar = f"within {_TRITON:.0%} or 2 us, or shorter"
    holds = ours - theirs <= max(_TRITON * theirs, 2e-6)
    return held(f"{what}: caches emptied, beside do_bench", figure, bar, holds=holds)
