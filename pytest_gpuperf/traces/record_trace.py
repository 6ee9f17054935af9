"""Recording a Chrome trace of a few calls, with torch's profiler: each call a step, as `gpuperf trace` reads them."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_gpuperf.traces.capture import leaving, quietly

_CALLS = 5
_SECONDS = 2.0  # slow calls: no more of them than fit into this, but always one


def record_trace(
    call: Callable[[], object], into: Path, synchronize: Callable[[], None], *, cuda: bool, seconds: float
) -> bool:
    """Write the trace of a few calls that last so long each; whether anything of torch ran in them.

    A call before the first step is profiled and not kept: the profiler's own start falls into it. Calls follow each
    other as in a timed span; only the last step waits for its work, which would be missing from the trace.
    """
    from torch.profiler import ProfilerActivity, profile, schedule  # noqa: PLC0415 - seconds, for those who record

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if cuda else [])
    calls = max(1, min(_CALLS, int(_SECONDS / seconds)))
    steps = schedule(wait=0, warmup=1, active=calls, repeat=1)
    synchronize()
    with quietly():
        with leaving(synchronize, cuda=cuda), profile(activities=activities, schedule=steps) as profiler:
            for step in range(1 + calls):
                call()
                if step in {0, calls}:
                    synchronize()
                profiler.step()
        if not any("::" in e.name or e.device_type.name != "CPU" for e in profiler.events() or ()):
            return False
        partial = into.with_name(f".{into.name}")  # hidden, and with the suffix that makes torch compress it
        try:
            profiler.export_chrome_trace(str(partial))
            partial.replace(into)
        finally:
            partial.unlink(missing_ok=True)
    return True
