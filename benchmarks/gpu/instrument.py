"""Steps that look at the rest of the instrument: the profiler, NVML, and captured graphs."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from clocks import NEEDS_A_CARD, Call, warm
from rows import Row, impossible, judged, spread, us


def profiler(device: str, into: Path) -> Iterator[Row]:
    """What the first profile leaves behind: 200 adds before and after it."""
    if device == "cpu":
        yield impossible("what the profiler leaves behind", NEEDS_A_CARD)
        return
    for teardown in ("0", ""):  # "": what the product does by itself
        environment = os.environ | ({"TEARDOWN_CUPTI": teardown} if teardown else {})
        command = [sys.executable, __file__]
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
    warm(adds, 0.5)
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

    def beside(what: str, got: Any, want: Any) -> Row:
        error = ((got - want).abs().max() / want.abs().max()).item()
        figure = f"off by {error:.2e} of the largest output"
        return judged(what, figure, "the eager output", holds=error <= 1e-3)  # what is not a number is not near

    with opened(workload, 2, device="cuda") as net:
        others = net.fitted(workload.inputs(2, seed=5))
        want, want_other = net(*net.inputs).clone(), net(*others).clone()
    with opened(workload, 2, backend="cudagraph", device="cuda") as net:
        got = net(*net.inputs).clone()
        yield beside("the first replay", got, want)
        gc.collect()
        filled = [torch.full((2 * 2**20,), float("nan"), device="cuda") for _ in range(200)]
        got = net(*net.inputs).clone()
        yield beside("after 200 x 8 MiB were filled", got, want)
        del filled
        torch.cuda.empty_cache()
        filled = [torch.full((2 * 2**20,), float("nan"), device="cuda") for _ in range(200)]
        got = net(*net.inputs).clone()
        yield beside("after the cache was emptied", got, want)
        got = net(*others).clone()
        yield beside("new inputs", got, want_other)
        clock, note = chosen.clock.fitted(lambda: net(*net.inputs))
        yield judged("its clock", f"{clock.name} {note or ''}", "events", holds=clock.name == "cuda-event")
        del filled


if __name__ == "__main__":
    _profiler()
