"""Steps that look at the clocks: events beside the profiler, a card that wakes up, and the kernel that spins."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median, stdev
from typing import Any

from rows import Row, impossible, judged, spread, us

NEEDS_A_CARD = "needs a GPU"
LEAD_CYCLES = 40_000_000  # 20 ms at 2 GHz: enough for whatever is launched behind it, and for the profiler beside it

Call = Callable[[], object]


def timing(device: str, into: Path) -> Iterator[Row]:
    """Spans of events beside the profiler, beside triton, and beside themselves."""
    from pytest_gpuperf.device.choice import choose_device

    chosen = choose_device(device)
    yield Row("device", f"{chosen.device.name}; {versions(chosen)}")
    if device == "cpu":
        yield from _repeats("a loop of the host", lambda: sum(range(20_000)), chosen.clock, 1)
        yield impossible("events beside the profiler", NEEDS_A_CARD)
        return
    import torch

    from pytest_gpuperf.measurement.plan import Plan
    from pytest_gpuperf.measurement.sampler import _calls_per_span

    yield from _empty_span()
    with torch.inference_mode():
        for name, call, believed in _workloads():
            warm(call)
            began = time.perf_counter()
            clock, note = chosen.clock.fitted(call)
            took = time.perf_counter() - began
            is_event = clock.name == "cuda-event"
            yield judged(
                f"{name}: clock",
                f"{clock.name} after {took * 1e3:.0f} ms{'' if note is None else f' ({note})'}",
                "events" if believed else "host",
                holds=is_event == believed,
            )
            calls = _calls_per_span(call, Plan(), clock, median(clock.block(call, 5, 1).samples))
            yield from _repeats(name, call, clock, calls)
            if is_event:
                yield from _beside_the_profiler(name, call, clock, calls)
                yield from _beside_triton(name, call, clock, chosen)


def _empty_span() -> Iterator[Row]:
    """What two events cost that have nothing between them."""
    import torch

    found = []
    for _ in range(50):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(200_000)
        start.record()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end) * 1e-3)
    yield Row("an empty span", f"{median(found) * 1e6:.2f} us ({min(found) * 1e6:.2f} to {max(found) * 1e6:.2f})")


def _workloads() -> Iterator[tuple[str, Call, bool]]:
    """(name, call, whether events are to be believed)."""
    import torch
    from torchvision.models import resnet18

    a = torch.randn(4096, 4096, device="cuda").half()
    x = torch.ones(1 << 16, device="cuda")
    yield "fp16 product 4096", lambda: a @ a, True
    yield "one add", lambda: x.add_(1), True

    def adds() -> None:
        for _ in range(20):
            x.add_(1)

    yield "20 adds", adds, True
    model = resnet18(weights=None).eval().cuda()
    images = torch.randn(1, 3, 224, 224, device="cuda")
    many = torch.randn(64, 3, 224, 224, device="cuda")
    yield "resnet18, 1 image", lambda: model(images), True
    yield "resnet18, 64 images", lambda: model(many), True
    captured = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            model(images)
    torch.cuda.synchronize()
    with torch.cuda.graph(captured):
        kept = model(images)
    yield "a graph of resnet18", captured.replay, True
    del kept

    def beside() -> None:
        with torch.cuda.stream(side):
            a @ a

    yield "a product on a side stream", beside, False
    yield "a sum and .item()", lambda: x.sum().item(), False


def warm(call: Call, seconds: float = 0.3) -> None:
    import torch

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(10):
            call()
        torch.cuda.synchronize()


def _repeats(name: str, call: Call, clock: Any, calls: int, repeats: int = 10) -> Iterator[Row]:
    """Ten A/A measurements: the median of 24 spans each."""
    found = [median(clock.block(call, 24, calls).samples) for _ in range(repeats)]
    deviation = stdev(found) / median(found)
    yield judged(
        f"{name}: A/A",
        f"{us(median(found))} a call, {calls} a span; standard deviation {deviation:.2%}, widest {spread(found):.2%}",
        "<= 0.5%",
        holds=deviation <= 0.005,
    )


def _beside_the_profiler(name: str, call: Call, clock: Any, calls: int) -> Iterator[Row]:
    import torch

    from pytest_gpuperf.traces.capture import capture

    events, spans, kernels = [], [], 0
    for _ in range(7):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def once(start: Any = start, end: Any = end) -> None:
            torch.cuda._sleep(LEAD_CYCLES)
            start.record()
            for _ in range(calls):
                call()
            end.record()

        seen = capture(once, torch.cuda.synchronize, cuda=True)
        work = [k for k in (*seen.kernels, *seen.copies) if "spin" not in k.name.lower()]
        if not work:
            yield impossible(f"{name}: beside the profiler", f"it saw {len(seen.kernels)} kernels")
            return
        kernels = len(work)
        spans.append(max(k.start + k.seconds for k in work) - min(k.start for k in work))
        events.append(start.elapsed_time(end) * 1e-3)
    unprofiled = median(clock.block(call, 24, calls).samples) * calls
    span = median(spans)
    bias = median(e - s for e, s in zip(events, spans, strict=True))
    yield judged(
        f"{name}: events - kernels, in one run",
        f"{bias * 1e6:+.2f} us on a span of {us(span)} ({kernels} kernels)",
        "1 us or 1%",
        holds=abs(bias) <= max(1e-6, 0.01 * span),
    )
    yield Row(f"{name}: what profiling adds to the span", f"{(median(events) - unprofiled) * 1e6:+.2f} us")


def _beside_triton(name: str, call: Call, clock: Any, chosen: Any) -> Iterator[Row]:
    from pytest_gpuperf.device import caches

    with suppress(ImportError):
        from triton import testing

        flush = caches.flush(chosen.device, chosen.index)
        theirs = testing.do_bench(call, warmup=25, rep=60, return_mode="median") * 1e-3
        ours = median(clock.block(call, 40, 1, before_span=flush).samples)
        yield Row(f"{name}: flushed, beside do_bench", f"{us(ours)} and {us(theirs)}: {ours / theirs:.3f}")


def versions(chosen: Any) -> str:
    wanted = ("python", "torch", "cuda", "cudnn", "driver")
    return ", ".join(f"{name} {chosen.software[name]}" for name in wanted if name in chosen.software)


def spin(device: str, into: Path) -> Iterator[Row]:
    """How long the spin kernel lasts, in three fresh processes, after the card was left alone."""
    if device == "cpu":
        yield impossible("length of the spin kernel", NEEDS_A_CARD)
        return
    for number in range(3):
        done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
        if done.returncode:
            yield Row(f"process {number + 1}", done.stderr[-300:], word="fails")
            continue
        for pause, lasted, clocks in json.loads(done.stdout.splitlines()[-1]):
            worst = max(lasted, key=lambda s: abs(s - 1e-3))
            yield judged(
                f"process {number + 1}, {pause} s after work: spin(1 ms)",
                f"{', '.join(us(s) for s in lasted)}; SM clock {clocks[0]} -> {clocks[1]} MHz",
                "within 5%, or longer while it wakes",
                holds=0.95e-3 <= worst <= 8e-3 and lasted[-1] <= 1.05e-3,
            )


def _spin() -> None:
    from pytest_gpuperf.device.choice import choose_device

    chosen = choose_device("cuda")
    driver, card = chosen.clock._driver, chosen.sensors.card  # pyright: ignore[reportAttributeAccessIssue]
    found = []
    for pause in (0.0, 0.5, 2.0):
        time.sleep(pause)
        before = card.sm_clock() if card else None
        lasted = []
        for _ in range(6):
            start, end = driver.event(), driver.event()
            start.record()
            driver.spin(1e-3)
            end.record()
            driver.synchronize()
            lasted.append(start.elapsed_time(end) * 1e-3)
        found.append((pause, lasted, (str(before), str(card.sm_clock() if card else None))))
    print(json.dumps(found))


def waking(device: str, into: Path) -> Iterator[Row]:
    """How the clock and one product change, from an idle card on."""
    if device == "cpu":
        yield impossible("a card that wakes up", NEEDS_A_CARD)
        return
    import torch

    from pytest_gpuperf.device.choice import choose_device

    card = choose_device("cuda").sensors.card
    a = torch.randn(4096, 4096, device="cuda").half()
    small = torch.randn(512, 512, device="cuda").half()
    out, small_out = torch.empty_like(a), torch.empty_like(small)
    works: dict[str, Call] = {
        "product 4096": lambda: torch.matmul(a, a, out=out),
        "product 512": lambda: torch.matmul(small, small, out=small_out),
    }
    for name, work in works.items():
        work()
        torch.cuda.synchronize()
        time.sleep(3)
        idle = str(card.sm_clock()) if card else "?"
        began = time.perf_counter()
        seen: list[tuple[float, float, str, str]] = []
        while time.perf_counter() - began < 4:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda._sleep(200_000)
            start.record()
            for _ in range(20):
                work()
            end.record()
            torch.cuda.synchronize()
            clock, watts = (str(card.sm_clock()), str(card.power())) if card else ("?", "?")
            seen.append((time.perf_counter() - began, start.elapsed_time(end) * 1e-3 / 20, clock, watts))
        marks = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 3.9)
        shown = [next((s for s in seen if s[0] >= mark), seen[-1]) for mark in marks]
        text = "; ".join(f"{at:.3f} s: {us(took)}, {clock} MHz, {watts} W" for at, took, clock, watts in shown)
        yield Row(f"{name}, idle at {idle} MHz", text)
        (into / f"waking-{name.split()[1]}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    _spin()
