"""Which device did the work, and how that is known. Pure: what was observed is judged here, nothing is looked at.

    proves            only the expected device can have done this
    supports          it fits; two that fit, from different sources, prove
    says nothing
    speaks against    it does not fit, and may have an innocent cause
    contradicts       another device did the work

Utilisation is shown and never decisive: it is the share of time in which some kernel ran, sampled a few times a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_gpuperf.measure.find_tensors import NodePlacement
from pytest_gpuperf.records.model import Evidence, Proof, Rating, Witness
from pytest_gpuperf.records.units import format_bytes, format_seconds, many
from pytest_gpuperf.traces.capture import Capture

_IDLE_GPU = 0.2  # share of a call in which kernels run: below it, most samples of the utilisation find none
_BUSY_HOST = 0.25  # share of a call in which the processor worked for this process: low, since others take turns
_MOST_OF_IT = 0.5
_WITHIN = "DtoD"  # in the name of a copy that does not leave the device
_POWER_RISE = 1.2  # times idle, and
_POWER_RISE_WATTS = 5.0


def diagnose(seconds: float, host_share: float, capture: Capture | None, *, works: bool) -> str:
    """The likeliest cause of 0 % utilisation during calls of so many seconds, and what to do."""
    busy = capture.busy / seconds if capture and capture.kernels else 0.0
    host = f"the processor was busy for {host_share:.0%} of it"
    if busy >= _IDLE_GPU:
        return (
            f"samples missed: kernels ran for {busy:.0%} of a call of {format_seconds(seconds)}, between two samples "
            f"of the utilisation. Believe the kernels."
        )
    if busy > 0:
        waiting = "the host" if host_share >= _BUSY_HOST else "the network or another process"
        return (
            f"waiting for {waiting}: kernels ran for {busy:.1%} of a call of {format_seconds(seconds)}, and {host}. "
            f"Time the parts of the call apart: the GPU is not what limits it."
        )
    if host_share >= _BUSY_HOST:
        doubt = "" if works else " (the profiler sees no kernels on this machine, so that is not certain)"
        return (
            f"CPU fallback: no kernel ran in a call of {format_seconds(seconds)}, and {host}{doubt}. "
            f"Move the model and its inputs to the GPU, and see which provider or device the back end chose."
        )
    return (
        f"waiting for the network or another process: no kernel of this process ran in a call of "
        f"{format_seconds(seconds)}, and {host}. Where a server does the work, ask it for its device."
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """The mean request of a loaded server, in seconds; None: not known."""

    latency: float  # as its client saw it
    computing: float | None = None  # of that, in the model
    host_share: float | None = None  # processor seconds of the server in a second of computing
    gpu_share: float | None = None  # seconds between CUDA events in a second of computing


def diagnose_server(request: Request) -> str:
    """The likeliest cause of 0 % utilisation while a server answers, and what to do."""
    if request.computing is None:
        return (
            "unknown: the server does not tell how long it computes. Ask one that has model statistics, or look for "
            "its process with nvidia-smi while it is loaded."
        )
    share = request.computing / request.latency if request.latency else 0.0
    whole = f"{share:.0%} of a request of {format_seconds(request.latency)} is computing"
    if share < _IDLE_GPU:
        return (
            f"waiting for the network or the front end: only {whole}. Measure the round trip apart, send binary "
            f"tensors, and raise the concurrency: the model is not what limits it."
        )
    if request.gpu_share is not None and request.gpu_share >= _IDLE_GPU:
        return (
            f"samples missed: {whole}, and the GPU worked for {request.gpu_share:.0%} of that by CUDA events. "
            f"Believe the events."
        )
    if request.host_share is None:
        return f"unknown: {whole}, and nobody here can see what the server's processors did. Look on its own machine."
    host = f"the server's processors were busy for {request.host_share:.0%} of that"
    if request.host_share >= _BUSY_HOST:
        return (
            f"CPU fallback: {whole}, and {host}. A host that spins while a GPU works looks the same: the server's "
            f"start-up log, and the provider or instance kind it was given, decide."
        )
    return f"samples missed: {whole}, and {host}: it waited for another device meanwhile."


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on the GPU before a test made anything, and after its measurement. None: not available."""

    held_before: int | None = None  # by our processes, says NVML
    held: int | None = None
    allocated_before: int | None = None  # says torch's allocator
    peak_allocated: int | None = None


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What was observed of one measurement. None: not looked at, or not available."""

    expected: str  # "cuda" or "cpu"
    seconds: float  # of one call
    host_share: float  # processor seconds of this process in a second of the call
    parameters: Mapping[str, int] = field(default_factory=dict[str, int])  # device -> bytes
    inputs: Mapping[str, int] = field(default_factory=dict[str, int])
    outputs: Mapping[str, int] = field(default_factory=dict[str, int])
    placement: NodePlacement | None = None
    capture: Capture | None = None
    profiler_works: bool = False  # it saw a kernel that certainly ran
    memory: Memory = field(default_factory=Memory)
    idle_watts: float | None = None
    busy_watts: float | None = None
    utilizations: tuple[int, ...] = ()


def judge(observations: Observations) -> Evidence:
    """All witnesses, and what they amount to."""
    witnesses = tuple(_on_gpu(observations) if observations.expected == "cuda" else _on_cpu(observations))
    idle = observations.expected == "cuda" and observations.utilizations and max(observations.utilizations) == 0
    return Evidence(
        verdict=verdict_of(witnesses),
        witnesses=witnesses,
        diagnosis=diagnose(
            observations.seconds, observations.host_share, observations.capture, works=observations.profiler_works
        )
        if idle
        else None,
    )


def verdict_of(witnesses: tuple[Witness, ...]) -> Proof:
    """What all of them amount to."""
    ratings = [w.rating for w in witnesses]
    if "contradicts" in ratings:
        return "contradicted"
    if "proves" in ratings:
        return "proven"
    return "proven" if ratings.count("supports") >= 2 and "speaks against" not in ratings else "unknown"


def _on_gpu(observations: Observations) -> list[Witness]:
    witnesses = [_kernels(observations)]
    ran = bool(observations.capture and observations.capture.kernels)
    witnesses += _parameters(observations, ran=ran)
    if observations.outputs:
        on_gpu = "cuda" in observations.outputs
        # A result may have been fetched to the host; parameters and kernels decide about that.
        witnesses.append(
            _witness("outputs", "supports" if on_gpu else "speaks against", f"on {_places(observations.outputs)}")
        )
    witnesses += _placement(observations)
    witnesses += _memory(observations)
    witnesses += _power(observations)
    if observations.utilizations:
        figure = (
            f"{min(observations.utilizations)}-{max(observations.utilizations)} % "
            f"in {len(observations.utilizations)} samples"
        )
        witnesses.append(_witness("utilisation", "says nothing", figure))
    return witnesses


def _kernels(observations: Observations) -> Witness:
    capture = observations.capture
    if capture is None:
        return _witness("kernels", "says nothing", "no call was profiled")
    if capture.kernels:
        gaps = f", gaps {format_seconds(capture.gaps)}" if capture.gaps > 0 else ""
        figure = (
            f"{many(len(capture.kernels), 'kernel')}, {format_seconds(max(capture.busy, 1e-9))} in all{gaps}; "
            f"longest: {', '.join(capture.longest())}"
        )
        return _witness("kernels", "proves", figure)
    within = [copy for copy in capture.copies if _WITHIN in copy.name]
    if within:  # by its copy engine: to and from the host a processor's work is copied too
        seconds = format_seconds(max(sum(copy.seconds for copy in within), 1e-9))
        return _witness("kernels", "supports", f"none; {many(len(within), 'copy')} within the GPU, {seconds} in all")
    if not observations.profiler_works:
        return _witness("kernels", "says nothing", "the profiler sees no kernels on this machine")
    on_host = f"{many(len(capture.operators), 'operator')} ran on the host"
    # The workload may run in another process: only work that this process did on the host contradicts.
    if capture.operators and observations.host_share >= _BUSY_HOST and "cuda" not in observations.outputs:
        return _witness(
            "kernels", "contradicts", f"none; {on_host}, busy for {observations.host_share:.0%} of the call"
        )
    return _witness("kernels", "speaks against", f"none in this process; {on_host}")


def _parameters(observations: Observations, *, ran: bool) -> list[Witness]:
    by_device = observations.parameters
    if not by_device:
        return []
    total = sum(by_device.values())
    share = by_device.get("cuda", 0) / total if total else 0.0
    figure = f"{format_bytes(total)} on {_places(by_device)}"
    rating: Rating = "supports" if share >= _MOST_OF_IT else "speaks against" if ran else "contradicts"
    return [_witness("parameters", rating, figure)]


def _placement(observations: Observations) -> list[Witness]:
    placement = observations.placement
    if placement is None:
        return []
    figure = ", ".join(f"{who}: {sum(counts.values())} nodes" for who, counts in placement.operators.items())
    if placement.wanted.startswith("CPU") != (observations.expected == "cpu"):
        return [_witness("placement", "contradicts", f"asked for {placement.wanted}; {figure}")]
    away = sum(placement.elsewhere.values())
    if not away:
        return [_witness("placement", "supports", figure)]
    total = sum(sum(counts.values()) for counts in placement.operators.values())
    rating: Rating = "contradicts" if away >= _MOST_OF_IT * total else "speaks against"
    others = ", ".join(f"{count} {operator}" for operator, count in sorted(placement.elsewhere.items()))
    return [_witness("placement", rating, f"{figure}; not on {placement.wanted}: {others}")]


def _memory(observations: Observations) -> list[Witness]:
    """Whether the parameters are there. What was held before may be anybody's: only a rise speaks for them."""
    needed = sum(observations.parameters.values())
    memory = observations.memory
    sources = {
        "NVML": (memory.held_before, memory.held),
        "allocator peak": (memory.allocated_before, memory.peak_allocated),
    }
    readings = {who: (before, after) for who, (before, after) in sources.items() if after is not None}
    if not readings:
        return []
    figure = ", ".join(f"{who} {_rise(before, after)}" for who, (before, after) in readings.items())
    if not needed:
        return [_witness("memory", "says nothing", f"{figure}; no parameters to compare with")]
    figure = f"{figure}; parameters need {format_bytes(needed)}"
    if max(after for _, after in readings.values()) < needed:
        return [_witness("memory", "speaks against", figure)]
    rises = [after - before for before, after in readings.values() if before is not None]
    if rises and max(rises) >= needed:
        return [_witness("memory", "supports", figure)]
    return [_witness("memory", "says nothing", f"{figure}, and may have been there before the test began")]


def _rise(before: int | None, after: int) -> str:
    return format_bytes(after) if before is None else f"{format_bytes(before)} -> {format_bytes(after)}"


def _power(observations: Observations) -> list[Witness]:
    idle, busy = observations.idle_watts, observations.busy_watts
    if idle is None or busy is None:
        return []
    rating: Rating = "supports" if power_rose(idle, busy) else "says nothing"
    return [_witness("power", rating, f"{idle:.1f} W idle, {busy:.1f} W at work")]


def power_rose(idle: float, busy: float) -> bool:
    """Whether a card takes more than it does when it rests."""
    return busy >= max(_POWER_RISE * idle, idle + _POWER_RISE_WATTS)


def _on_cpu(observations: Observations) -> list[Witness]:
    busy = observations.host_share >= _BUSY_HOST
    figure = f"busy for {observations.host_share:.0%} of a call of {format_seconds(observations.seconds)}"
    witnesses = [_witness("processor time", "proves" if busy else "says nothing", figure)]
    for name, places in (
        ("parameters", observations.parameters),
        ("inputs", observations.inputs),
        ("outputs", observations.outputs),
    ):
        if places:
            elsewhere = any(kind != "cpu" for kind in places)
            witnesses.append(_witness(name, "contradicts" if elsewhere else "supports", f"on {_places(places)}"))
    return witnesses + _placement(observations)


def _places(places: Mapping[str, int]) -> str:
    if len(places) == 1:
        return next(iter(places))
    return ", ".join(f"{kind} ({format_bytes(amount)})" for kind, amount in sorted(places.items()))


def _witness(name: str, rating: Rating, figure: str) -> Witness:
    return Witness(name=name, rating=rating, figure=figure)
