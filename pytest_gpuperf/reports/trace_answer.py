"""Why is my GPU idle? The answer in a sentence, and what to do about the largest cause."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuperf.records.trace_analysis import CPU, DeviceTime, GapCause, TraceAnalysis
from pytest_gpuperf.records.units import format_percent, format_seconds, many

NAMED = 3  # causes in the sentence; the table has them all
WORTH = 0.05  # of the time: what costs less is nothing to begin with
_LONE = 0.5  # of what the host costs: a gap that is so much of it is another matter than many short ones
LEAST = 1e-9  # seconds: less is nothing
UNKNOWN = "unknown"

# What the device waited for, in words that follow a time: "0.41 s waiting for the host".
WAITS: dict[GapCause, str] = {
    "host": "waiting for the host",
    "synchronisation": "after the host had waited for it",
    "data": "waiting for data",
    "launch": "for launching",
    "dependency": "waiting for another stream or device",
    "unknown": "for a cause that the trace does not tell",
}
MEANINGS: dict[GapCause, str] = {
    "host": "the host ran other code, and had not launched the next work yet",
    "synchronisation": "the host waited for the device, and launched the next work only then",
    "data": "the host waited for its next input",
    "launch": "the work was launched just then: the time that launching takes",
    "dependency": "the work was launched already, and waited for something else: another stream, another device",
    "unknown": "the trace does not say when the work was launched",
}
_REMEDIES: dict[GapCause, str] = {
    "host": (
        "Python launches work more slowly than the device does it: give each launch more to do (torch.compile, or "
        'mode="reduce-overhead" for CUDA graphs; a larger batch)'
    ),
    "synchronisation": (
        "the host waits for results and launches nothing meanwhile: leave out .item(), .cpu(), print of a tensor, "
        "boolean masks and torch.cuda.synchronize() in the loop, or read a result one step later"
    ),
    "data": (
        "the input comes too slowly: more workers (DataLoader num_workers), pinned memory (pin_memory=True), and "
        "batches prepared ahead (prefetch_factor, non_blocking=True)"
    ),
    "launch": (
        "kernels are too short for what a launch takes: fewer and longer ones (torch.compile fuses them), CUDA graphs "
        '(mode="reduce-overhead"), or a larger batch'
    ),
    "dependency": (
        "work that is launched waits for something else: for another stream (look at the events between the streams, "
        "and begin earlier what it waits for), or for another device (a collective waits for the slowest rank)"
    ),
    "unknown": (
        "record what the host did as well, and the trace tells: ProfilerActivity.CPU beside CUDA, or "
        "nsys profile --trace=cuda,nvtx,osrt"
    ),
}
_COPIES = (
    "copies run while nothing computes: pinned memory (pin_memory=True, .pin_memory()) with non_blocking=True, and a "
    "stream of their own"
)
_RECORD = (
    "Record the calls themselves, between the profiler's start and stop: torch.profiler.profile(activities="
    "[ProfilerActivity.CPU, ProfilerActivity.CUDA]), or nsys profile --trace=cuda,nvtx,osrt."
)
_FINE = "little waits here: what is left to gain is in the kernels, the longest first"


def answer(analysis: TraceAnalysis) -> list[str]:
    """A sentence a device."""
    if not analysis.devices:
        return ["Whether a device was idle is unknown: this trace holds no kernel, no copy and no operator."]
    return [_of_device(device) for device in analysis.devices]


def remedies(analysis: TraceAnalysis) -> list[str]:
    """What to do first, for each device; said once where devices have the same cause."""
    if not analysis.devices:
        return [_RECORD]
    found: dict[str, list[str]] = {}
    for device in analysis.devices:
        found.setdefault(_remedy(device), []).append(device.device)
    return [f"{', '.join(devices)}: {remedy}." for remedy, devices in found.items()]


def headline(device: DeviceTime) -> str:
    """``cuda:0 computed 61% of 1.84 s``."""
    share = device.use.utilisation
    if share is None:
        return f"How much {device.device} computed is unknown: what it did took no time in this trace"
    what = "ran torch's operators for" if device.device == CPU else "computed"
    return f"{device.device} {what} {percent(share)} of {seconds(device.use.seconds)}"


def title(analysis: TraceAnalysis) -> str:
    """The shortest answer: of the device that was idle for the largest share."""
    gpus = [d for d in analysis.devices if d.device != CPU and d.use.seconds]
    if not gpus:
        return headline(analysis.devices[0]) if analysis.devices else "Whether a device was idle is unknown"
    device = max(gpus, key=lambda d: d.use.idle / d.use.seconds)
    if device.use.idle < LEAST:
        return f"{device.device} was never idle in {seconds(device.use.seconds)}"
    share, waits = percent(device.use.idle / device.use.seconds), next(_waits(device), "")
    return f"{device.device} was idle {share} of {seconds(device.use.seconds)}{f': {waits}' if waits else ''}"


def seconds(value: float) -> str:
    """A time that may be none."""
    return "0 s" if value < LEAST else format_seconds(value)


def percent(share: float) -> str:
    """Whole percents where they tell enough; a little is not nothing."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return format_percent(share) if share < 0.1 or share > 0.99 else f"{share:.0%}"


def losses(device: DeviceTime) -> list[tuple[GapCause | None, float]]:
    """Seconds without a kernel by what took them, the most first; None: copies that nothing hid."""
    causes: list[tuple[GapCause | None, float]] = [(c, s) for c, s in device.idle.items() if s >= LEAST]
    if device.use.exposed >= LEAST:
        causes.append((None, device.use.exposed))
    return sorted(causes, key=lambda loss: -loss[1])


def _of_device(device: DeviceTime) -> str:
    sentence, use = headline(device), device.use
    if not use.seconds:
        return f"{sentence}."
    if device.device == CPU:
        return f"{sentence}; there is no GPU work in this trace, so whether a GPU was idle is unknown."
    if use.exposed >= LEAST:
        sentence += f", copied without computing {_of(use.exposed, device)}"
    if use.idle < LEAST:
        return f"{sentence} and was never idle."
    waits = ", ".join(_waits(device))
    return f"{sentence} and was idle {_of(use.idle, device)}{f': {waits}' if waits else ''}."


def _of(length: float, device: DeviceTime) -> str:
    return f"{percent(length / device.use.seconds)} ({seconds(length)})"


def _waits(device: DeviceTime) -> Iterator[str]:
    """The largest causes, and the rest as one."""
    causes: list[tuple[GapCause, float]] = [(cause, length) for cause, length in losses(device) if cause is not None]
    yield from (f"{seconds(length)} {WAITS[cause]}" for cause, length in causes[:NAMED])
    rest = sum(length for _, length in causes[NAMED:])
    if rest >= LEAST:
        yield f"{seconds(rest)} for other causes"


def _remedy(device: DeviceTime) -> str:
    if device.device == CPU:
        return (
            "to learn what a GPU does, record there, with activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]; "
            "what follows is of the processor"
        )
    cause, length = next(iter(losses(device)), (None, 0.0))
    if length < WORTH * device.use.seconds or not device.use.seconds:
        kernel = f" ({device.top[0].name})" if device.top else ""
        return f"{_FINE}{kernel}"
    if cause is not None:
        return _lone_gap(device, cause, length) or f"{_REMEDIES[cause]}{_host(device, cause)}"
    pageable = sum(c.pageable for c in device.copies)
    found = f"; {many(pageable, 'copy')} here went from or to memory that is not pinned" if pageable else ""
    return f"{_COPIES}{found}"


def _lone_gap(device: DeviceTime, cause: GapCause, length: float) -> str | None:
    """Where the host held the device up once for long, and not again and again."""
    gap = next((g for g in device.gaps if g.cause == cause), None)
    if cause != "host" or gap is None or gap.seconds < _LONE * length:
        return None
    where = "" if gap.host is None else f", in which the host was in {gap.host}"
    return (
        f"one gap of {seconds(gap.seconds)} is {percent(gap.seconds / length)} of that{where}. A first call loads "
        f"libraries, compiles and allocates: record after some warm-up calls (torch.profiler.schedule), or see what "
        f"the host does there"
    )


def _host(device: DeviceTime, cause: GapCause) -> str:
    """What the host did in the longest of these gaps, where the trace knows."""
    gap = next((g for g in device.gaps if g.cause == cause and g.host is not None), None)
    return "" if gap is None else f". In a gap of {seconds(gap.seconds)} the host was in {gap.host}"
