"""Steps that look at the clocks: a card that wakes up, and the kernel that spins."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rows import Row, impossible, judged, us

NEEDS_A_CARD = "needs a GPU"

Call = Callable[[], object]


def warm(call: Call, seconds: float = 0.3) -> None:
    import torch

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(10):
            call()
        torch.cuda.synchronize()


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
