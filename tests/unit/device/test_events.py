"""The arithmetic of the event clock, on a simulated device: streams in virtual time, no CUDA.

What it cannot show is how a real device behaves: docs/validation/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
        self.run(seconds * 1e6)

    def stream_end(self, stream: str = "current") -> int:
        self.streams[stream] = max(self.streams[stream], self.now)
        return self.streams[stream]

    def run(self, us: float, stream: str = "current", launch: int = LAUNCH) -> None:
        """Launch a kernel: the host goes on, the stream is busy."""
        self.now += launch
        self.streams[stream] = self.stream_end(stream) + int(us * US)

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


def test_a_call_that_waits_for_its_own_stream_is_believed(gpu):
    def call() -> None:
        gpu.run(250)
        gpu.wait("current")

    clock, note = CudaEventClock(gpu).fitted(call)
    assert (clock.name, note) == ("cuda-event", None)
    assert clock.block(call, 3, 1).samples == pytest.approx([250e-6] * 3, rel=0.05)


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
