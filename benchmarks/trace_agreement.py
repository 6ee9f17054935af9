"""Whether a trace's times are those that HTA finds: Meta's Holistic Trace Analysis, of PyTorch's own traces.

    pip install HolisticTraceAnalysis
    python benchmarks/trace_agreement.py TRACE.json.gz ...

A row a trace: how long its device was in use, how long of it nothing ran, and how long kernels ran, from both, in
milliseconds; then the largest difference, as a share of the time in use.

HTA gets a copy in which three things are changed, because it means something else by the same words. It counts the
host's waits (`cuda_sync`) as work of the device: they are left out. It leaves out the last step: the steps' marks are
left out. It takes kernels of NCCL for communication and not for kernels: they get another name.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
import warnings
from pathlib import Path

from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.traces.analyse import analyse


def changed(path: Path, folder: Path) -> Path:
    """The copy that HTA gets."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        trace = json.load(file)
    trace["distributedInfo"] = {"rank": 0}
    trace["traceEvents"] = [
        event | {"name": event["name"].replace("nccl", "collective")}
        for event in trace["traceEvents"]
        if event.get("cat") != "cuda_sync" and "ProfilerStep" not in event["name"]
    ]
    copy = folder / "trace.json"
    copy.write_text(json.dumps(trace))
    return copy


def theirs(path: Path) -> tuple[float, float, float]:
    """Milliseconds in use, without anything, with kernels."""
    from hta.trace_analysis import TraceAnalysis

    found = TraceAnalysis(trace_files={0: str(path)}).get_temporal_breakdown(visualize=False).iloc[0]
    return found["kernel_time(us)"] / 1e3, found["idle_time(us)"] / 1e3, found["compute_time(us)"] / 1e3


def main() -> None:
    """Print a row a trace."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print(f"{'in use':>10} {'HTA':>10} {'idle':>10} {'HTA':>10} {'kernels':>10} {'HTA':>10} {'apart':>8}  trace")
    for path in map(Path, sys.argv[1:]):
        (device,) = analyse(path).analysis.devices
        use = device.use
        with scratch_folder("agreement") as folder:
            other = theirs(changed(path, folder))
        ours = (use.seconds * 1e3, use.idle * 1e3, use.compute * 1e3)
        figures = " ".join(f"{a:>10.3f} {b:>10.3f}" for a, b in zip(ours, other, strict=True))
        apart = max(abs(a - b) for a, b in zip(ours, other, strict=True)) / ours[0]
        print(f"{figures} {apart:>8.3%}  {path.name}", flush=True)


if __name__ == "__main__":
    main()
