"""What a trace of a profiler shows of each device in it: when it computed, when it copied, and why it waited."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Bytes, Count, Name, Record

TRACE_ANALYSIS = "gpuperf-trace-analysis"
VERSION = 1
CPU = "cpu"  # the device of a trace without kernels
Duration = Annotated[float, Meta(ge=0, le=1e9)]  # seconds; a trace may hold things that took none
Moment = Annotated[float, Meta(ge=0, le=1e9)]  # seconds since the first thing in the trace
Number = Annotated[int, Meta(ge=0, le=2**40)]
Share = Annotated[float, Meta(ge=0, le=1)]
Tool = Literal["torch.profiler", "Nsight Systems"]
GapCause = Literal[
    "host",  # the host had not launched the next work yet: it ran other code
    "synchronisation",  # the host waited for the device, and launched the next work only then
    "data",  # the host waited for its next input
    "launch",  # the work was launched just then: the time that launching takes
    "dependency",  # the work was launched already, and waited for something else: another stream, another device
    "unknown",  # the trace does not say when it was launched
]
OnPath = Literal["compute", "copy", "host", "synchronisation", "launch", "dependency"]


class KernelTime(Record, frozen=True, kw_only=True):
    """All runs of one kernel on one device; where a trace has no kernels, of one operator on the processor."""

    name: Name
    count: Count
    seconds: Duration  # their sum
    on_path: Duration | None = None  # of it, on the critical path


class CopyTime(Record, frozen=True, kw_only=True):
    """All copies in one direction, or all fills."""

    kind: Name  # "host to device", "device to host", "device to device", "fill", ...
    count: Count
    seconds: Duration  # their sum
    bytes: Bytes | None = None  # None: the trace does not say how many
    pageable: Number = 0  # of them, from or to memory that was not pinned

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second, while copying."""
        return None if self.bytes is None or self.seconds == 0 else self.bytes / self.seconds


class StreamTime(Record, frozen=True, kw_only=True):
    """One stream of a device; or one thread, where the device is the processor."""

    stream: Name
    kernels: Number
    copies: Number
    busy: Duration  # in which something ran on it


class Gap(Record, frozen=True, kw_only=True):
    """A time in which nothing ran on a device, neither kernel nor copy."""

    start: Moment
    seconds: Duration
    cause: GapCause
    before: Name  # what ended when it began
    after: Name  # what ended it
    host: Name | None = None  # what the host was doing for most of it, where the trace knows


class Use(Record, frozen=True, kw_only=True):
    """How a device spent a time. Things that run side by side count once."""

    seconds: Duration  # the time
    compute: Duration  # in which some kernel ran
    copy: Duration  # in which some copy or fill ran
    both: Duration  # in which both did

    @property
    def exposed(self) -> float:
        """Seconds in which it copied and computed nothing."""
        return self.copy - self.both

    @property
    def idle(self) -> float:
        """Seconds in which nothing ran."""
        return max(0.0, self.seconds - self.compute - self.exposed)

    @property
    def utilisation(self) -> float | None:
        """Share of the time in which some kernel ran."""
        return None if self.seconds == 0 else self.compute / self.seconds

    @property
    def overlapped(self) -> float | None:
        """Share of the copying that was hidden behind kernels."""
        return None if self.copy == 0 else self.both / self.copy


class DeviceTime(Record, frozen=True, kw_only=True):
    """One device in a trace."""

    device: Name  # "cuda:0"; "cpu" where the trace has no kernels
    name: Name | None = None  # "NVIDIA L40S"
    start: Moment
    use: Use  # from its first kernel or copy to its last
    kernels: Number
    kernel_seconds: Duration  # their sum; above `use.compute` where kernels ran side by side
    idle: dict[GapCause, Duration] = {}  # all gaps, by cause
    gaps: tuple[Gap, ...] = ()  # the longest, longest first
    path: dict[OnPath, Duration] = {}  # the critical path, which ends with the device's last work
    copies: tuple[CopyTime, ...] = ()
    streams: tuple[StreamTime, ...] = ()
    top: tuple[KernelTime, ...] = ()  # the kernels that took most of the time


class StepTime(Record, frozen=True, kw_only=True):
    """One step, as the program marked it: ``ProfilerStep#3``, an NVTX range."""

    name: Name
    start: Moment
    uses: dict[Name, Use]  # by device


class TraceAnalysis(Record, frozen=True, kw_only=True):
    """One trace."""

    format: Literal["gpuperf-trace-analysis"] = TRACE_ANALYSIS
    version: Literal[1] = VERSION
    file: Name  # its name, without its folder
    sha256: Name
    tool: Tool
    schema: Name | None = None  # of the file, as the tool calls it
    seconds: Duration  # from the first thing in it to the end of the last
    notes: tuple[Name, ...] = ()  # what a reader must know: where it ends too early, what was left out
    devices: tuple[DeviceTime, ...] = ()
    steps: tuple[StepTime, ...] = ()


class Lane(Record, frozen=True, kw_only=True):
    """One row of a timeline, as columns. Too many short things close together are one, with their number."""

    device: Name
    name: Name  # "stream 7", "thread 4711", "steps", "idle"
    starts: tuple[Moment, ...]
    seconds: tuple[Duration, ...]
    names: tuple[Number, ...]  # places in `Timeline.names`
    counts: tuple[Count, ...]  # how many things each of them is


class Timeline(Record, frozen=True, kw_only=True):
    """What a page draws."""

    names: tuple[Name, ...]
    lanes: tuple[Lane, ...]
