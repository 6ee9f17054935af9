"""The arithmetic of the event clock, on a simulated device: streams in virtual time, no CUDA.

What it cannot show is how a real device behaves: docs/validation/README.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import pytest

from pytest_gpuperf.device.events import CudaEventClock

US = 1000  # virtual nanoseconds
LAUNCH = 5 * US


@dataclass
class Mark:
    gpu: Gpu
    at: int = -1

    def record(self) -> None:
        self.gpu.now += US // 2
        self.at = self.gpu.stream_end()

    def synchronize(self) -> None:
        self.gpu.now = max(self.gpu.now, self.at)

    def query(self) -> bool:
        self.gpu.now += US
        return self.at <= self.gpu.now

    def elapsed_time(self, end_event: Mark) -> float:
        assert max(self.at, end_event.at) <= self.gpu.now, "read before the stream came to it"
        return (end_event.at - self.at) / 1e6


@dataclass
class Gpu:
    """Two streams, each busy until a moment of the host's virtual clock."""

    now: int = 0
    streams: dict[str, int] = field(default_factory=lambda: {"current": 0, "other": 0})
    events: int = 0
    synchronizations: int = 0
    spins: list[float] = field(default_factory=list)
    spin_share: float = 1.0  # of the time asked for that a spin lasts
    ends: deque[int] = field(default_factory=lambda: deque(maxlen=1024))  # of what is in the launch queue

    def ticks(self) -> int:
        self.now += 20
        return self.now

    def event(self) -> Mark:
        self.events += 1
        return Mark(self)

    def synchronize(self) -> None:
        self.synchronizations += 1
        self.now = max(self.now, *self.streams.values()) + US

    def spin(self, seconds: float) -> None:
        self.spins.append(seconds)
        self.run(self.spin_share * seconds * 1e6)

    def stream_end(self, stream: str = "current") -> int:
        self.streams[stream] = max(self.streams[stream], self.now)
        return self.streams[stream]

    def run(self, us: float, stream: str = "current", launch: int = LAUNCH) -> None:
        """Launch a kernel: the host goes on, the stream is busy."""
        self.now += launch
        if len(self.ends) == self.ends.maxlen:  # the queue is full until the oldest kernel has ended
            self.now = max(self.now, self.ends[0])
        self.streams[stream] = self.stream_end(stream) + int(us * US)
        self.ends.append(self.streams[stream])

    def wait(self, stream: str) -> None:
        self.now = max(self.now, self.streams[stream])

    def call(self, *kernels: float, **options) -> Callable[[], None]:
        return lambda: [self.run(us, **options) for us in kernels] and None


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


def test_a_short_call_is_timed_without_the_launches(gpu):
    """Thirty kernels of 2 us, launched every 5 us: the device worked 60 us, the host 150."""
    call = gpu.call(*[2] * 30)
    clock, note = CudaEventClock(gpu).fitted(call)
    block = clock.block(call, spans=6, calls=10)
    assert clock.name == "cuda-event"
    assert note is None
    assert block.samples == pytest.approx([60e-6] * 6, rel=0.01)
    assert block.wall == pytest.approx(150e-6, rel=0.05)


def test_a_long_call_needs_a_head_start_only_once(gpu):
    call = gpu.call(1000)
    clock, _ = CudaEventClock(gpu).fitted(call)
    gpu.spins.clear()
    block = clock.block(call, spans=6, calls=1)
    assert block.samples == pytest.approx([1e-3] * 6, rel=0.001)
    assert len(gpu.spins) == 1


def test_the_head_start_is_bounded(gpu):
    clock, _ = CudaEventClock(gpu).fitted(gpu.call(300_000, launch=200_000 * US))
    clock.block(gpu.call(300_000, launch=200_000 * US), 1, 1)
    assert max(gpu.spins) <= 0.05


def test_one_synchronisation_a_block_and_events_reused(gpu):
    call = gpu.call(100)
    clock = CudaEventClock(gpu)
    clock.block(call, 6, 5, before_span=int)
    before, made = gpu.synchronizations, gpu.events
    clock.block(call, 6, 5, before_span=int)
    assert gpu.synchronizations - before == 2  # one ahead of it, and one for all of its spans
    assert gpu.events == made == 12


def test_the_queue_of_events_is_bounded(gpu):
    samples = CudaEventClock(gpu).block(gpu.call(100), spans=500, calls=1).samples
    assert samples == pytest.approx([100e-6] * 500)
    assert gpu.events == 128


@pytest.mark.parametrize("calls", [1, 20])
def test_work_on_another_stream_is_not_believed(gpu, calls):
    """250 us that the events would read as next to nothing."""

    def call() -> None:
        gpu.run(1)
        gpu.run(250, stream="other")

    unfitted = CudaEventClock(gpu)
    assert max(unfitted.block(call, 3, calls).samples) < 20e-6
    clock, note = unfitted.fitted(call)
    assert clock.name == "host"
    assert note
    assert "another stream" in note
    assert clock.block(call, 3, 20).samples == pytest.approx([251e-6] * 3, rel=0.1)


def test_work_on_another_stream_that_the_call_waits_for_is_not_believed(gpu):
    """As a library does that has its own stream and synchronises it before it returns."""

    def call() -> None:
        gpu.run(250, stream="other")
        gpu.wait("other")

    clock, note = CudaEventClock(gpu).fitted(call)
    assert clock.name == "host"
    assert note


@pytest.mark.parametrize("after", [0, 3])
def test_a_call_that_waits_for_the_device_is_timed_by_the_host(gpu, after):
    """As `.item()` does, and ONNX Runtime with a graph: the next kernel is launched only when the last has ended."""

    def call() -> None:
        gpu.run(30)
        gpu.wait("current")
        for _ in range(after):
            gpu.run(10)

    clock, note = CudaEventClock(gpu).fitted(call)
    assert clock.name == "host"
    assert note
    assert "waits for the device" in note


@pytest.mark.parametrize("seconds", [1e-3, 0.02])
def test_a_call_that_is_launched_for_long_does_not_wait(gpu, seconds):
    call = gpu.call(*[10] * 100, launch=int(seconds * 1e9 / 100))
    clock, note = CudaEventClock(gpu).fitted(call)
    assert (clock.name, note) == ("cuda-event", None)
    assert clock.block(call, 3, 1).samples == pytest.approx([1e-3] * 3, rel=0.01)


def test_a_call_that_no_lead_is_long_enough_for_is_timed_by_the_host(gpu):
    call = gpu.call(*[200] * 100, launch=US * 1000)  # a tenth of a second
    clock, note = CudaEventClock(gpu).fitted(call)
    assert clock.name == "host"
    assert note
    assert "overtook the host" in note


def test_a_span_whose_lead_was_too_short_is_taken_again_with_a_longer_one(gpu):
    """As on a card that was asleep when the spin was measured: the spin lasts a fifth of what it should."""
    call = gpu.call(*[2] * 30)
    clock, _ = CudaEventClock(gpu).fitted(call)
    gpu.spin_share = 0.2
    gpu.spins.clear()
    block = clock.block(call, spans=6, calls=10)
    assert block.samples == pytest.approx([60e-6] * 6, rel=0.01)
    assert max(gpu.spins) > 3 * min(gpu.spins)
    before = len(gpu.spins)
    clock.block(call, spans=6, calls=10)
    assert len(gpu.spins) - before < before  # it has learned


def test_a_block_that_never_has_a_lead_is_timed_by_the_host(gpu):
    call = gpu.call(*[2] * 30)
    clock, _ = CudaEventClock(gpu).fitted(call)
    gpu.spin_share = 0.0
    block = clock.block(call, spans=6, calls=10)
    assert not block.proven
    assert block.wall is None
    assert block.samples == pytest.approx([150e-6] * 6, rel=0.05)


def test_a_host_that_was_held_up_once_makes_no_later_lead_longer(gpu):
    call = gpu.call(*[2] * 30)
    clock, _ = CudaEventClock(gpu).fitted(call)
    held = iter([True])

    def once() -> None:
        if next(held, False):
            gpu.now += 10_000 * US
        call()

    assert clock.block(once, spans=6, calls=10).samples == pytest.approx([60e-6] * 6, rel=0.01)
    gpu.spins.clear()
    clock.block(call, spans=6, calls=10)
    assert max(gpu.spins) == min(gpu.spins) < 3e-3


def covered(launch: int, kernels: int, each: int, spin_share: float) -> bool:
    """Not a call of a second, or next to nothing on the device, or more launches than a spin can cover."""
    calls = max(1, 500 // (kernels * each))
    return (
        kernels * each <= 1_000_000 and 50 * each >= launch and 1.25 * calls * kernels * launch <= 50_000 * spin_share
    )


GRID = [
    combination
    for combination in product((5, 20, 50, 200), (1, 20, 200), (2, 30, 500, 20_000), (1.0, 0.2))
    if covered(*combination)
]


@pytest.mark.parametrize(("launch", "kernels", "each", "spin_share"), GRID)
def test_spans_hold_the_devices_time(gpu, launch, kernels, each, spin_share):
    gpu.spin_share = spin_share
    call = gpu.call(*[each] * kernels, launch=launch * US)
    clock, _ = CudaEventClock(gpu).fitted(call)
    calls = max(1, 500 // (kernels * each))
    assert clock.name == "cuda-event"
    samples = clock.block(call, 6, calls).samples
    assert samples == pytest.approx([kernels * each * 1e-6] * 6, rel=0.01, abs=1e-6 / calls)


def test_throughput_is_that_of_calls_back_to_back(gpu):
    """Of a call of 0.5 ms, one synchronised call was taken for it."""
    call = gpu.call(500, launch=100 * US)
    clock, _ = CudaEventClock(gpu).fitted(call)
    assert clock.block(call, spans=6, calls=1).wall == pytest.approx(500e-6, rel=0.03)
    slow = gpu.call(100_000)
    clock, _ = CudaEventClock(gpu).fitted(slow)
    before = gpu.now
    clock.block(slow, spans=1, calls=1)
    assert gpu.now - before < 250_000 * US  # one more call is enough


def test_half_the_work_on_another_stream_is_not_believed(gpu):
    def call() -> None:
        gpu.run(200)
        gpu.run(400, stream="other")

    clock, _ = CudaEventClock(gpu).fitted(call)
    assert clock.name == "host"


def test_a_flush_is_not_timed_and_leaves_no_throughput(gpu):
    call = gpu.call(40)
    block = CudaEventClock(gpu).block(call, 4, 1, before_span=lambda: gpu.run(700))
    assert block.samples == pytest.approx([40e-6] * 4, rel=0.01)
    assert block.wall is None


def test_latencies_are_the_hosts(gpu):
    assert CudaEventClock(gpu).latencies(gpu.call(100), 3) == pytest.approx([106e-6] * 3, rel=0.01)


def test_a_span_around_code(gpu):
    clock = CudaEventClock(gpu)
    gpu.run(500)  # earlier work
    stop = clock.span()
    gpu.run(100)
    assert stop() == pytest.approx(105e-6, rel=0.02)  # with its launch: there is no head start
    assert clock.now() > 0


def test_nothing_on_the_device_is_no_zero(gpu):
    assert min(CudaEventClock(gpu).block(lambda: None, 3, 1).samples) > 0
