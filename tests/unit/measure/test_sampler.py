"""The sampler, on a scripted timer: the workload says how long it took, so that only the sampler's choices are seen."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.device.clocks import Block, Call, Clock, HostClock
from pytest_gpuperf.device.health import Health
from pytest_gpuperf.device.memory import ResidentMemory
from pytest_gpuperf.errors import DeviceLostError, MeasurementError, OutOfMemoryError, UsageError, WorkloadError
from pytest_gpuperf.measure.cache import PreparedCall
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.records.model import Measurement


class Script:
    """A workload that takes what the script says, by the timer that the script moves."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.seconds = seconds
        self.calls = 0
        self.ns = 0

    def __call__(self) -> None:
        self.ns += int(self.seconds(self.calls) * 1e9)
        self.calls += 1

    @property
    def clock(self) -> HostClock:
        return HostClock(timer=lambda: self.ns)


def noisy(seconds: float, sd: float) -> Script:
    """Random noise, the same every time it is run."""
    rng = random.Random(1)
    return Script(lambda _: seconds * max(0.1, rng.gauss(1, sd)))


def measured(script: Script, plan: Plan | None = None, **options) -> Measurement:
    defaults = {"items": 1, "clock": script.clock, "memory": ResidentMemory(), "session": "s"}
    return measure(script, plan=plan or Plan(), **(defaults | options))


def test_the_sample_count_follows_the_noise():
    counts = []
    for sd in (0.01, 0.1, 0.2, 0.4):
        m = measured(noisy(0.004, sd), Plan(budget=1000))
        assert m.ended == "steady"
        assert m.interval <= 0.01
        counts.append(len(m.samples))
    assert counts[0] >= 96
    assert counts[0] < counts[1] < counts[2] < counts[3]
    assert counts[3] > 10 * counts[0], counts


def test_a_cap_is_a_cap():
    m = measured(noisy(0.004, 0.5), Plan(budget=2))
    assert m.ended == "cap"
    assert m.interval > 0.01
    assert sum(m.samples) <= 2.1


def test_a_higher_precision_takes_more_samples():
    fine, coarse = (measured(noisy(0.004, 0.1), Plan(budget=100, precision=p)) for p in (0.005, 0.02))
    assert len(fine.samples) > len(coarse.samples)


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(0.001, 1000, 1050), (0.01, 100, 106), (0.05, 39, 44), (0.3, 16, 17)]
)
def test_slow_calls_need_fewer_samples(seconds, least, most):
    m = measured(Script(lambda _: seconds))
    assert m.ended == "steady"
    assert least <= len(m.samples) <= most
    assert m.span_calls == 1
    assert m.latencies == m.samples, "a span of one call is a latency already"


def test_short_calls_are_grouped_and_single_ones_interleaved():
    m = measured(Script(lambda _: 2e-6))
    assert m.span_calls * 2e-6 >= 500e-6
    assert m.samples == pytest.approx([2e-6] * len(m.samples))
    assert len(m.latencies) >= 130, "enough for the 95th percentile"
    assert sum(m.samples) * m.span_calls >= 0.3
    assert len(m.blocks) >= 16
    assert max(map(len, m.blocks)) == 6


def test_the_first_call_stands_apart():
    m = measured(Script(lambda n: 2.0 if n == 0 else 0.01))
    assert m.first_call == pytest.approx(2.0)
    assert m.device_time.high == pytest.approx(0.01)
    assert max(m.latencies) == pytest.approx(0.01)


def test_warm_up_ends_when_the_calls_are_steady():
    """It starts four times slower and settles after a hundred calls."""
    m = measured(Script(lambda n: 0.002 * (1 + 3 * max(0, 100 - n) / 100)))
    assert m.warmup_calls >= 80
    assert m.device_time.high < 0.0022


def test_warm_up_is_capped():
    m = measured(Script(lambda n: 0.01 * 1.1**n if n < 100 else 0.001), Plan(budget=5))
    assert m.warmup_seconds <= 1.0
    m = measured(Script(lambda n: 0.03 * (1 + n % 2)))
    assert m.warmup_seconds <= 2.0


@pytest.mark.parametrize("budget", [1e-9, 5.0])
def test_a_call_longer_than_the_budget_is_measured_once_and_ends(budget):
    script = Script(lambda _: 30.0)
    m = measured(script, Plan(budget=budget))
    assert m.ended == "cap"
    assert m.samples == (pytest.approx(30.0),)
    assert script.calls == 3  # the first, one to warm up, the timed one


def test_a_first_call_that_compiles_is_no_estimate():
    m = measured(Script(lambda n: 100.0 if n == 0 else 1e-4), Plan(budget=1))
    assert m.span_calls == 5
    assert m.ended == "steady"


def test_a_call_that_takes_no_time_is_grouped_until_it_does():
    """A timer that moves a microsecond every hundred calls."""
    script = Script(lambda n: 1e-6 if n % 100 == 0 else 0.0)
    m = measured(script, Plan(min_timed=0.001, span_seconds=20e-6))
    assert min(m.samples) > 0
    assert min(m.latencies) > 0
    assert m.span_calls >= 1_000


def test_calls_that_get_fast_late_are_counted_again():
    """A thousand times faster after the warm-up has given up: nothing slow is kept, and spans are long enough."""
    m = measured(Script(lambda n: 0.02 if n < 60 else 2e-5))
    assert m.ended == "steady"
    assert m.span_calls >= 25
    assert m.device_time.high < 0.001
    assert max(m.latencies) < 0.001


def test_a_block_that_was_fast_by_chance_changes_nothing():
    """Its calls are counted again, turn out as slow as before, and what was measured is kept."""
    fast = range(0)

    def pace(number: int) -> None:
        nonlocal fast
        if number == 5:
            fast = range(script.calls, script.calls + 6)

    script = Script(lambda n: 0.0002 if n in fast else 0.001)
    m = measured(script, pace=pace)
    assert m.span_calls == 1
    assert m.blocks[5] == pytest.approx([0.0002] * 6)
    assert len(m.blocks[0]) == 1, "the first block is still the first"


def test_the_pace_is_asked_between_blocks():
    script = Script(lambda _: 0.01)
    asked: list[tuple[int, int]] = []
    m = measured(script, pace=lambda number: asked.append((number, script.calls)))
    assert [number for number, _ in asked] == list(range(1, len(m.blocks)))
    timed_before = [calls - asked[0][1] for _, calls in asked]
    sizes = [len(block) for block in m.blocks]
    assert timed_before == [sum(sizes[1 : 1 + i]) for i in range(len(asked))]


def test_what_the_pace_takes_is_no_sample():
    script = Script(lambda _: 0.01)

    def pace(_: int) -> None:
        script.ns += 10**8

    assert measured(script, pace=pace).device_time.high == pytest.approx(0.01)


def test_a_flush_before_each_span_makes_a_span_one_call():
    flushed = 0
    script = Script(lambda _: 1e-5)

    def flush() -> None:
        nonlocal flushed
        flushed += 1

    m = measure(
        PreparedCall(script, flush), items=1, plan=Plan(), clock=script.clock, memory=ResidentMemory(), session="s"
    )
    assert m.span_calls == 1
    assert flushed == len(m.samples)


@dataclass(frozen=True)
class Queue:
    """A clock of a device: spans of a share of the host's time, and walls."""

    host: HostClock
    disbelieve: bool = False
    share: float = 0.5
    proven: bool = True
    name: str = "device"

    def now(self) -> float:
        return self.host.now()

    def synchronize(self) -> None:
        self.host.synchronize()

    def fitted(self, call: Call) -> tuple[Clock, str | None]:
        return (self.host, "not believed") if self.disbelieve else (self, None)

    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        samples = self.host.block(call, spans, calls, before_span).samples
        return Block(tuple(s * self.share for s in samples), samples[0], self.proven)

    def latencies(self, call: Call, count: int, before_call: Call | None = None) -> tuple[float, ...]:
        return self.host.latencies(call, count, before_call)

    def span(self) -> Callable[[], float]:
        return self.host.span()


def test_device_time_latency_and_walls_are_kept_apart():
    script = Script(lambda _: 0.01)
    m = measured(script, clock=Queue(script.clock))
    assert m.clock == "device"
    assert m.samples == pytest.approx([0.005] * len(m.samples))
    assert m.walls == pytest.approx([0.01] * len(m.blocks))
    assert m.latencies == pytest.approx([0.01] * len(m.latencies))
    assert len(m.blocks) <= len(m.latencies) < len(m.samples)
    assert m.host_gap == pytest.approx(0.005)
    assert m.throughput == pytest.approx(100)
    assert m.notes == ()


def test_a_device_that_waits_for_its_host_is_measured_as_long_as_any_other():
    # Seen on an H200: 1.1 ms of work in calls of 8.3 ms. A second of the device's own work takes eight of the host's.
    script = Script(lambda _: 0.008)
    found = measured(script, clock=Queue(script.clock, share=0.13))
    assert found.ended == "steady"
    assert script.ns * 1e-9 < 4


def test_a_clock_that_is_not_believed_is_named_in_a_note():
    script = Script(lambda _: 0.01)
    m = measured(script, clock=Queue(script.clock, disbelieve=True))
    assert (m.clock, m.walls, m.notes) == ("host", (), ("not believed",))


def test_blocks_that_could_not_be_timed_on_the_device_are_counted_in_a_note():
    script = Script(lambda _: 0.01)
    m = measured(script, clock=Queue(script.clock, proven=False))
    (note,) = m.notes
    assert note.startswith(f"{len(m.blocks)} of {len(m.blocks)} blocks are timed by the host's clock")


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_garbage_collection_is_off_while_timing_and_then_as_before(was_on, error):
    during = []

    def seconds(n: int) -> float:
        during.append(gc.isenabled())
        if error and n == 20:
            raise error
        return 0.01

    (gc.enable if was_on else gc.disable)()
    try:
        if error:
            with pytest.raises((WorkloadError, KeyboardInterrupt)):
                measured(Script(seconds))
        else:
            measured(Script(seconds))
        assert gc.isenabled() is was_on
    finally:
        gc.enable()
    assert not any(during)


def test_cycles_of_the_workload_do_not_pile_up():
    class Node:
        alive = 0

        def __init__(self) -> None:
            Node.alive += 1
            self.me = self

        def __del__(self) -> None:
            Node.alive -= 1

    most = 0

    def seconds(_: int) -> float:
        nonlocal most
        Node()
        most = max(most, Node.alive)
        return 0.01

    script = Script(seconds)
    measured(script)
    assert most < script.calls / 2


@pytest.mark.parametrize("at", [0, 1, 30])
def test_a_workload_that_raises_fails_with_its_cause(at):
    def seconds(n: int) -> float:
        if n == at:
            raise ZeroDivisionError("the workload's own words")
        return 0.01

    with pytest.raises(WorkloadError, match="ZeroDivisionError: the workload's own words") as caught:
        measured(Script(seconds))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_measurement_error_of_the_workload_stays_what_it_is():
    """As of a measurement within a measurement, or of a timer read too early."""

    def seconds(_: int) -> float:
        raise MeasurementError("what it says")

    with pytest.raises(MeasurementError, match=r"^what it says$"):
        measured(Script(seconds))


def test_ctrl_c_passes_through():
    def seconds(n: int) -> float:
        if n == 30:
            raise KeyboardInterrupt
        return 0.01

    with pytest.raises(KeyboardInterrupt):
        measured(Script(seconds))


class Meter:
    """Remembers what it was asked, and whether the workload's data was gone by then."""

    source = "a test"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held = lambda: None

    def reset(self) -> None:
        self.asked.append("reset")

    def peak(self) -> int:
        self.asked.append("peak")
        return 7

    def release(self) -> None:
        self.asked.append("release" if self.held() is None else "release while it is held")


def test_the_peak_is_that_of_warm_calls():
    script, meter = noisy(0.01, 0.0), Meter()
    first: list[int] = []
    meter.reset = lambda: first.append(script.calls)
    m = measured(script, memory=meter)
    assert (m.peak_memory, m.memory_source) == (7, "a test")
    assert len(first) == 1
    assert first[0] == 1 + m.warmup_calls


def test_out_of_memory_frees_what_the_workload_held():
    import weakref

    import torch

    meter = Meter()

    def workload() -> None:
        held = np.zeros(1000)
        meter.held = weakref.ref(held)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    with pytest.raises(OutOfMemoryError, match=r"Tried to allocate 20 GiB.*smaller batch") as caught:
        measure(workload, items=1, plan=Plan(), clock=HostClock(), memory=meter, session="s")
    assert meter.asked == ["release"]
    assert isinstance(caught.value.__cause__, torch.cuda.OutOfMemoryError)


def test_a_gpu_that_is_lost_to_the_process_is_named():
    import torch

    kind = getattr(torch, "AcceleratorError", RuntimeError)  # since torch 2.8

    def workload() -> None:
        raise kind("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")

    with pytest.raises(DeviceLostError, match=r"for this process: CUDA error: unspecified launch failure\.") as caught:
        measure(workload, items=1, plan=Plan(), clock=HostClock(), memory=Meter(), session="s")
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("items", [0, -3])
def test_a_call_handles_at_least_one_item(items):
    with pytest.raises(UsageError, match=f"items={items}"):
        measured(noisy(0.01, 0.0), items=items)


def test_a_real_model_on_the_processor():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)).eval()
    x = torch.randn(8, 64)
    grad_modes = set()

    def workload() -> object:
        grad_modes.add((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")))
        return model(x)

    chosen = choose_device("cpu")
    m = measure(workload, items=8, plan=Plan(), clock=chosen.clock, memory=chosen.memory, session="s")
    assert grad_modes == {(True, False, False)}, "the workload runs as given"
    assert m.ended in {"steady", "cap"}
    assert m.device_time.low > 0
    assert m.throughput == pytest.approx(8 / m.device_time.median)
    assert m.peak_memory is None or m.peak_memory > 2**20


class Card:
    """A card under load, in virtual time: after some of it another clock, and calls that take accordingly."""

    def __init__(self, *later: tuple[float, float]) -> None:
        self.steps = ((0.0, 1980.0), *later)
        self.script = Script(lambda _: 1e-3 * 1980.0 / self.now())

    def now(self) -> float:
        spent = self.script.ns / 1e9
        return [clock for since, clock in self.steps if since <= spent][-1]

    def megahertz(self) -> float | None:
        return self.now()

    def before_block(self) -> None:
        pass

    def after_block(self) -> str | None:
        return None

    def health(self, state: str | None) -> Health:
        return Health(state=state)


def test_a_card_is_warm_when_its_clock_stands_still_under_the_load():
    steady = Card()
    m = measured(steady.script, watch=steady)
    assert 0.3 <= m.warmup_seconds <= 0.6
    assert m.samples == pytest.approx([1e-3] * len(m.samples))
    falling = Card((0.2, 1700.0), (0.35, 1545.0))  # held by its power limit
    m = measured(falling.script, watch=falling)
    assert 0.6 <= m.warmup_seconds <= 0.9
    assert m.samples == pytest.approx([1e-3 * 1980 / 1545] * len(m.samples), rel=1e-6)
    assert m.warmup_calls == pytest.approx(m.warmup_seconds / 1.2e-3, rel=0.2)


def test_a_clock_that_never_stands_still_is_measured_as_it_is():
    steps = [(n / 20, 1500.0 + 400 * (n % 2)) for n in range(1, 400)]
    restless = Card(*steps)
    m = measured(restless.script, watch=restless)
    assert 1.9 <= m.warmup_seconds <= 2.4
    restless = Card(*steps)
    m = measured(restless.script, Plan(budget=1), watch=restless)
    assert m.warmup_seconds <= 0.5, "a small budget is not spent on warming up"


def test_where_nobody_tells_the_clock_nothing_more_is_warmed_up(monkeypatch):
    silent = Card()
    monkeypatch.setattr(silent, "megahertz", lambda: None)
    assert measured(silent.script, watch=silent).warmup_seconds == measured(Card().script).warmup_seconds


def test_what_is_slower_than_the_cap_is_measured_at_once():
    slow = Card()
    slow.script = Script(lambda _: 5.0)
    assert measured(slow.script, watch=slow).warmup_calls == 1
