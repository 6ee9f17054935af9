"""What a profiler's trace shows, whatever tool recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuperf.records.trace_analysis import CPU, Timeline, TraceAnalysis
from pytest_gpuperf.traces.activities import Spans, Trace
from pytest_gpuperf.traces.chrome import read_chrome
from pytest_gpuperf.traces.device_time import SECOND, Device, devices_of, record_of
from pytest_gpuperf.traces.export import MAGIC
from pytest_gpuperf.traces.host import NOTHING, Host, host_of
from pytest_gpuperf.traces.nsight import read_nsight
from pytest_gpuperf.traces.steps import find_steps, step_times
from pytest_gpuperf.traces.strangers import refuse_stranger
from pytest_gpuperf.traces.timeline import timeline_of
from pytest_gpuperf.traces.unpacked import Say, Unpacked

_BEGIN = 4096  # bytes that show what a file is


@dataclass(frozen=True, slots=True)
class Analysed:
    """A trace's analysis, and what its timeline is drawn from."""

    analysis: TraceAnalysis
    trace: Trace
    devices: Sequence[Device]
    steps: Spans

    def timeline(self) -> Timeline:
        """What a page draws."""
        return timeline_of(self.trace, self.devices, self.steps)


def analyse(path: Path, progress: Say | None = None) -> Analysed:
    """Read one trace. `progress` gets a line now and then, where the file is large."""
    trace = _read(path, progress)
    host = host_of(trace)
    devices = devices_of(trace, host)
    steps = find_steps(trace)
    analysis = TraceAnalysis(
        file=path.name,
        sha256=trace.sha256,
        tool=trace.tool,
        schema=trace.schema,
        seconds=trace.end / SECOND,
        notes=(*trace.notes, *_notes(devices, host)),
        devices=tuple(record_of(trace, host, device) for device in devices),
        steps=tuple(step_times(trace, steps, devices)),
    )
    return Analysed(analysis, trace, devices, steps)


def _read(path: Path, progress: Say | None) -> Trace:
    begin = next(Unpacked(path).chunks(), b"")[:_BEGIN]
    refuse_stranger(path, begin)
    return (read_nsight if begin.startswith(MAGIC) else read_chrome)(path, progress)


def _notes(devices: Sequence[Device], host: Host) -> list[str]:
    if not devices:
        return ["It holds no kernel, no copy and no operator: what a device did is unknown, which is not idle."]
    if devices[0].label == CPU:
        return [
            "It holds no kernel and no copy: what a GPU did is unknown, which is not idle.",
            "What is counted here are torch's operators on the processor, the outermost of each thread.",
        ]
    if not len(host.calls):
        return ["It does not hold the calls that launched this work: why a device waited is unknown."]
    unknown = int((host.launch == NOTHING).sum())
    if unknown:
        return [f"The calls that launched {unknown:,} of {len(host.launch):,} kernels and copies are not in it."]
    return []
