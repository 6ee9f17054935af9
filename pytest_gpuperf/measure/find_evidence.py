"""Looking for evidence, after a measurement: one call more, one under the profiler, and what the sensors saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from time import process_time

from pytest_gpuperf.device.choice import Sensors
from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.device.health import Health
from pytest_gpuperf.device.memory import MemoryMeter
from pytest_gpuperf.device.readings import known
from pytest_gpuperf.measure.evidence import Memory, Observations, judge
from pytest_gpuperf.measure.find_tensors import devices_of, find_tensors
from pytest_gpuperf.records.model import Evidence
from pytest_gpuperf.traces.capture import capture, sees_kernels

_BUSY_ENOUGH = 0.25
_TRIES = 3  # of the call on a processor, whose other processes may take their turn just then
_LEAST_SECONDS = 0.002  # a shorter call is repeated: the processor's time has a tick too
LONGEST_PROFILED = 5.0  # seconds: a trace of more would fill the memory


@dataclass(frozen=True)
class Prover:
    """Finds out which device does the work of a call."""

    kind: str  # "cuda" or "cpu": the expected device
    index: int | None
    clock: Clock
    sensors: Sensors

    @cached_property
    def profiler_works(self) -> bool:
        """Asked once a session."""
        return self.kind == "cuda" and sees_kernels(self.index or 0)

    def prove(
        self, call: Call, held: tuple[object, ...], health: Health | None = None, memory: Memory | None = None
    ) -> Evidence:
        """Run the call a little more, untimed. `held` is what it is made of: the function and its arguments.

        `memory` is what was in use when its test began, and the peak since.
        """
        reached = find_tensors(*held)
        output, seconds, share = self._watched(call)
        profiled = self.kind == "cuda" and seconds <= LONGEST_PROFILED
        trace = capture(call, self.clock.synchronize, cuda=True) if profiled else None
        return judge(
            Observations(
                expected=self.kind,
                seconds=seconds,
                host_share=share,
                parameters=reached.parameters,
                inputs=reached.tensors,
                outputs=devices_of(output),
                placement=reached.placement,
                capture=trace,
                profiler_works=trace is not None and (bool(trace.kernels) or self.profiler_works),
                memory=replace(memory or Memory(), held=self.held()),
                idle_watts=known(self.sensors.idle_watts),
                busy_watts=health.watts if health else None,
                utilizations=health.utilizations if health else (),
            )
        )

    def memory_before(self, allocator: MemoryMeter) -> Memory:
        """What is in use before a test makes anything: only what comes to it can be the test's."""
        return Memory(held_before=self.held(), allocated_before=allocator.allocated())

    def held(self) -> int | None:
        """Bytes that our processes hold on the GPU, as NVML says."""
        return None if self.sensors.card is None else known(self.sensors.memory_in_use())

    def _watched(self, call: Call) -> tuple[object, float, float]:
        """The result of a call, its seconds, and the processor's share of them."""
        output: object = None
        seconds, share = 0.0, 0.0
        for _ in range(_TRIES):
            output, calls, wall, worked = _run(call, self.clock.synchronize, self.clock.now)
            seconds = wall / calls
            share = max(share, worked / wall)
            if share >= _BUSY_ENOUGH or self.kind == "cuda":
                break
        return output, seconds, share


def _run(call: Call, synchronize: Callable[[], None], now: Callable[[], float]) -> tuple[object, int, float, float]:
    """Call until it took long enough to be judged: result, calls, seconds, processor seconds."""
    synchronize()
    calls, wall = 0, 0.0
    output: object = None
    start, worked = now(), process_time()
    while wall < _LEAST_SECONDS:
        output = call()
        synchronize()
        calls += 1
        wall = now() - start
    return output, calls, max(wall, 1e-9), process_time() - worked
