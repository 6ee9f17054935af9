"""Steps that look at the instrument itself: clocks, the profiler, NVML, energy, graphs."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from rows import Row, impossible, judged, spread, us

HERE = Path(__file__).resolve().parent
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
            _warm(call)
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
    """What two events cost that have nothing between them, and a clock that is only read."""
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


def _warm(call: Call, seconds: float = 0.3) -> None:
    import torch

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(10):
            call()
        torch.cuda.synchronize()


def _repeats(name: str, call: Call, clock: Any, calls: int, repeats: int = 10) -> Iterator[Row]:
    """Ten A/A measurements: the median of 24 spans each."""
    found = [median(clock.block(call, 24, calls).samples) for _ in range(repeats)]
    deviation = (sum((f - sum(found) / len(found)) ** 2 for f in found) / (len(found) - 1)) ** 0.5 / median(found)
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
        done = subprocess.run([sys.executable, __file__, "spin"], capture_output=True, text=True, check=False)
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


def profiler(device: str, into: Path) -> Iterator[Row]:
    """What the first profile leaves behind: 200 adds before and after it."""
    if device == "cpu":
        yield impossible("what the profiler leaves behind", NEEDS_A_CARD)
        return
    for teardown in ("0", ""):  # "": what the product does by itself
        environment = os.environ | ({"TEARDOWN_CUPTI": teardown} if teardown else {})
        command = [sys.executable, __file__, "profiler"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            yield Row(f"TEARDOWN_CUPTI={teardown!r}", done.stderr[-300:], word="fails")
            continue
        told = json.loads(done.stdout.splitlines()[-1])
        found, kernels = told["figures"], told["kernels"]
        yield judged(
            f"kernels seen by 21 profiles{', the library stays' if teardown else ''}",
            ", ".join(f"{count} x {kernels.count(count)}" for count in dict.fromkeys(kernels)),
            "200 in each",
            holds=set(kernels) == {200},
        )
        for what, (first, second, after, later) in found.items():
            yield judged(
                f"{what}{', the library stays' if teardown else ''}",
                f"{us(second)} before ({second / first - 1:+.1%} of its own repeat), {us(after)} after a profile "
                f"({after / second - 1:+.1%}), {us(later)} after 20 more ({later / second - 1:+.1%})",
                "" if teardown else "within 1%, or its own repeat's",
                word="shown" if teardown else None,
                holds=abs(later / second - 1) <= max(0.01, abs(second / first - 1)),
            )


def _profiler() -> None:
    import torch

    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.traces.capture import capture

    chosen = choose_device("cuda")
    x = torch.ones(1 << 16, device="cuda")

    def adds() -> None:
        for _ in range(200):
            x.add_(1)

    replayed = torch.cuda.CUDAGraph()
    adds()
    torch.cuda.synchronize()
    with torch.cuda.graph(replayed):
        adds()
    _warm(adds, 0.5)
    clock, _ = chosen.clock.fitted(adds)
    of_graph, _ = chosen.clock.fitted(replayed.replay)

    def figures() -> dict[str, float]:
        return {
            "200 adds, wall": median(chosen.clock.latencies(adds, 200)),
            "200 adds, launching": _launching(adds),
            "200 adds, events": median(clock.block(adds, 60, 1).samples),
            "a graph of 200 adds, events": median(of_graph.block(replayed.replay, 60, 1).samples),
            "a graph of 200 adds, wall": median(chosen.clock.latencies(replayed.replay, 200)),
        }

    first, second = figures(), figures()
    seen = [capture(adds, torch.cuda.synchronize, cuda=True)]
    after = figures()
    seen += [capture(work, torch.cuda.synchronize, cuda=True) for work in [replayed.replay, adds] * 10]
    later = figures()
    table = {what: (first[what], second[what], after[what], later[what]) for what in first}
    print(json.dumps({"figures": table, "kernels": [len(profile.kernels) for profile in seen]}))


def _launching(call: Call) -> float:
    import torch

    found = []
    for _ in range(60):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return median(found)


def readings(device: str, into: Path) -> Iterator[Row]:
    """What each question to NVML costs, and what the watch costs a block."""
    from pytest_gpuperf.device.choice import choose_device

    card = choose_device(device).sensors.card
    if card is None:
        yield impossible("the cost of NVML", NEEDS_A_CARD)
        return
    from pytest_gpuperf.device import processes
    from pytest_gpuperf.device.health import CardWatch, limits
    from pytest_gpuperf.device.health import readings as read_all
    from pytest_gpuperf.device.readings import Missing

    asked: dict[str, Call] = {
        "clock_reasons": card.clock_reasons,
        "violation(thermal)": lambda: card.violation(1),
        "violation(power)": lambda: card.violation(0),
        "violation(board)": lambda: card.violation(3),
        "temperature": card.temperature,
        "sm_clock": card.sm_clock,
        "power": card.power,
        "instant_power": card.instant_power,
        "mean_power": card.mean_power,
        "energy": card.energy,
        "utilization": card.utilization,
        "processes": card.processes,
        "memory": card.memory,
        "foreign processes": lambda: processes.foreign(card),
        "limits (one look)": lambda: limits(card, time.monotonic()),
        "readings (ten a second)": lambda: read_all(card),
    }
    for name, ask in asked.items():
        answer = ask()
        costs = []
        for _ in range(200):
            start = time.perf_counter()
            ask()
            costs.append(time.perf_counter() - start)
        shown = answer.reason if isinstance(answer, Missing) else str(answer)[:120]
        yield Row(f"NVML: {name}", f"{us(median(costs))} (longest {us(max(costs))}); says {shown}")
    watch = CardWatch(card)
    costs = []
    for _ in range(100):
        start = time.perf_counter()
        watch.before_block()
        watch.after_block()
        costs.append(time.perf_counter() - start)
    from pytest_gpuperf.device.canaries import Canaries

    canaries, read, seconds = Canaries(choose_device(device)), [], []
    for _ in range(8):
        start = time.perf_counter()
        read.append(canaries.read())
        seconds.append(time.perf_counter() - start)
    for name in read[0]:
        values = [r[name] for r in read]
        yield Row(
            f"canary {name}", f"first {us(values[0])}, then {us(median(values[1:]))}, widest {spread(values[1:]):.2%}"
        )
    yield Row("one reading of the canaries", f"first {seconds[0]:.2f} s, then {median(seconds[1:]):.3f} s")
    yield judged("watching one block", us(median(costs)), "<= 0.3 ms: a tenth of a block", holds=median(costs) <= 3e-4)


def energy(device: str, into: Path) -> Iterator[Row]:
    """Three equal windows of five seconds."""
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.device.power import GpuPower
    from pytest_gpuperf.device.readings import Missing

    chosen = choose_device(device)
    if device == "cpu":
        yield impossible("energy", NEEDS_A_CARD)
        return
    import torch

    power = GpuPower(chosen.sensors.meter, chosen.clock.synchronize)
    period = power.period
    yield Row("idle power, the counter's period", f"{chosen.sensors.idle_watts}; {period}")
    a = torch.randn(4096, 4096, device="cuda").half()
    out = torch.empty_like(a)

    def work() -> None:
        for _ in range(20):
            torch.matmul(a, a, out=out)

    _warm(work, 1.0)
    joules, above = [], []
    for number in range(3):
        smi = _smi() if number == 1 else None
        with power() as window:
            start = time.monotonic()
            calls = 0
            while time.monotonic() - start < 5:
                work()
                chosen.clock.synchronize()
                calls += 20
        beside = "" if smi is None else _said(smi, window.seconds)
        found = window.energy
        if isinstance(found.joules, Missing):
            yield impossible(f"window {number + 1}", found.joules.reason)
            return
        joules.append(found.joules / calls)
        above.append(found.above_idle / calls if not isinstance(found.above_idle, Missing) else float("nan"))
        yield Row(
            f"window {number + 1}",
            f"{found.joules:.1f} J in {found.seconds:.2f} s, {found.mean_watts:.1f} W, idle {found.idle_watts:.1f} W, "
            f"{joules[-1] * 1e3:.3f} mJ a call; {found.method}, +-{found.uncertainty or 0:.2%} "
            f"{'; '.join(found.notes)}{beside}",
        )
        time.sleep(1.0)
    yield judged("A/A of joules a call", f"widest {spread(joules):.2%}", "<= 2%", holds=spread(joules) <= 0.02)


def _smi() -> subprocess.Popen[str]:
    query = "--query-gpu=power.draw.instant,power.draw.average"
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "-lms", "100"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _said(smi: subprocess.Popen[str], seconds: float) -> str:
    smi.terminate()
    lines = (smi.communicate()[0] or "").splitlines()
    instant = []
    for line in lines:
        with suppress(ValueError):
            instant.append(float(line.split(",")[0]))
    busy = instant[-int(seconds * 8) : -3]  # the window's own: it began after half a second of idling
    return f"; nvidia-smi's instant power: median {median(busy):.1f} W of {len(busy)}" if busy else "; nvidia-smi: none"


def graph(device: str, into: Path) -> Iterator[Row]:
    """Whether a captured graph still has its weights when other things have been allocated."""
    if device == "cpu":
        yield impossible("the life of a captured graph", NEEDS_A_CARD)
        return
    import torch

    from pytest_gpuperf.backends import opened
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.models import load

    chosen = choose_device("cuda")
    workload = load("resnet50", "smoke")

    def agrees(got: Any, want: Any) -> str:
        error = (got - want).abs().max().item() / want.abs().max().item()
        return f"off by {error:.2e} of the largest output"

    def near(got: Any, want: Any) -> bool:
        return bool(torch.isfinite(got).all()) and (got - want).abs().max().item() <= 1e-3 * want.abs().max().item()

    with opened(workload, 2, device="cuda") as net:
        others = net.fitted(workload.inputs(2, seed=5))
        want, want_other = net(*net.inputs).clone(), net(*others).clone()
    with opened(workload, 2, backend="cudagraph", device="cuda") as net:
        got = net(*net.inputs).clone()
        yield judged("the first replay", agrees(got, want), "the eager output", holds=near(got, want))
        gc.collect()
        filled = [torch.full((2 * 2**20,), float("nan"), device="cuda") for _ in range(200)]
        got = net(*net.inputs).clone()
        yield judged("after 200 x 8 MiB were filled", agrees(got, want), "the eager output", holds=near(got, want))
        del filled
        torch.cuda.empty_cache()
        filled = [torch.full((2 * 2**20,), float("nan"), device="cuda") for _ in range(200)]
        got = net(*net.inputs).clone()
        yield judged("after the cache was emptied", agrees(got, want), "the eager output", holds=near(got, want))
        got = net(*others).clone()
        yield judged("new inputs", agrees(got, want_other), "the eager output", holds=near(got, want_other))
        clock, note = chosen.clock.fitted(lambda: net(*net.inputs))
        yield judged("its clock", f"{clock.name} {note or ''}", "events", holds=clock.name == "cuda-event")
        del filled


if __name__ == "__main__":
    {"spin": _spin, "profiler": _profiler}[sys.argv[1]]()
