"""Analyses of traces, made by hand: a small inference loop whose GPU waits for the host most of the time."""

from __future__ import annotations

import msgspec

from pytest_gpuperf.records.trace_analysis import (
    CopyTime,
    DeviceTime,
    Gap,
    KernelTime,
    Lane,
    StepTime,
    StreamTime,
    Timeline,
    TraceAnalysis,
    Use,
)

STEP = 0.1  # seconds
GEMM, RELU, UPLOAD = "ampere_sgemm_128x64_tn", "elementwise relu fp32", "host to device"


def a_use(seconds: float = 1.0, compute: float = 0.6, copy: float = 0.15, both: float = 0.05) -> Use:
    return Use(seconds=seconds, compute=compute, copy=copy, both=both)


def a_device(device: str = "cuda:0", **changes: object) -> DeviceTime:
    """Over one second: 0.6 s computed, 0.1 s copied beside nothing, 0.3 s idle."""
    fields: dict[str, object] = {
        "device": device,
        "name": "NVIDIA L40S",
        "start": 0.0,
        "use": a_use(),
        "kernels": 30,
        "kernel_seconds": 0.65,
        "idle": {"host": 0.2, "data": 0.06, "synchronisation": 0.03, "launch": 0.01},
        "gaps": (
            Gap(start=0.2, seconds=0.05, cause="host", before=GEMM, after=RELU, host="aten::nonzero"),
            Gap(start=0.5, seconds=0.03, cause="data", before=RELU, after=UPLOAD),
        ),
        "path": {"compute": 0.6, "host": 0.25, "copy": 0.1, "synchronisation": 0.05},
        "copies": (
            CopyTime(kind=UPLOAD, count=10, seconds=0.12, bytes=3 * 2**30, pageable=4),
            CopyTime(kind="fill", count=2, seconds=0.03),
        ),
        "streams": (
            StreamTime(stream="stream 7", kernels=30, copies=0, busy=0.6),
            StreamTime(stream="stream 13", kernels=0, copies=12, busy=0.15),
        ),
        "top": (
            KernelTime(name=GEMM, count=10, seconds=0.5, on_path=0.45),
            KernelTime(name=RELU, count=20, seconds=0.15),
        ),
    }
    return DeviceTime(**(fields | changes))


def steps(times: list[float], name: str = "ProfilerStep#{}", device: str = "cuda:0") -> tuple[StepTime, ...]:
    """One after the other; the device computes in 60% of each."""
    start, found = 0.0, []
    for number, seconds in enumerate(times):
        use = a_use(seconds, 0.6 * seconds, 0.15 * seconds, 0.05 * seconds)
        found.append(StepTime(name=name.format(number), start=start, uses={device: use}))
        start += seconds
    return tuple(found)


def an_analysis(*devices: DeviceTime, **changes: object) -> TraceAnalysis:
    fields: dict[str, object] = {
        "file": "step.json.gz",
        "sha256": "0123abcd" * 8,
        "tool": "torch.profiler",
        "seconds": 1.2,
        "devices": devices or (a_device(),),
        "steps": steps([3 * STEP, *[STEP] * 6, 1.2 * STEP]),
    }
    return TraceAnalysis(**(fields | changes))


def changed(analysis: TraceAnalysis, **changes: object) -> TraceAnalysis:
    return msgspec.structs.replace(analysis, **changes)


def a_timeline(names: tuple[str, ...] = (GEMM, RELU, UPLOAD, "host", "data", "ProfilerStep#0")) -> Timeline:
    """One second: six bars in three lanes, a step, and two gaps."""
    lane = {"device": "cuda:0"}
    return Timeline(
        names=names,
        lanes=(
            Lane(**lane, name="steps", starts=(0.0,), seconds=(1.0,), names=(5,), counts=(1,)),
            Lane(
                **lane,
                name="stream 7",
                starts=(0.0, 0.25, 0.6, 0.9),
                seconds=(0.2, 0.2, 0.1, 0.0001),
                names=(0, 1, 0, 1),
                counts=(1, 1, 1, 12),
            ),
            Lane(**lane, name="stream 13", starts=(0.5, 0.55), seconds=(0.05, 0.2), names=(2, 2), counts=(1, 1)),
            Lane(**lane, name="idle", starts=(0.2, 0.8), seconds=(0.05, 0.1), names=(3, 4), counts=(1, 1)),
            Lane(**lane, name="stream 20", starts=(), seconds=(), names=(), counts=()),
        ),
    )
