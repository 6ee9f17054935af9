"""Why a dashboard shows 0 % while a workload runs: the processor did it, the samples missed it, or nobody worked.

Each cause leaves another trace: kernels in a profiled call or none, and a processor that was busy or waited.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.results.units import format_seconds
from pytest_gpuperf.traces.capture import Capture

_BUSY_HOST = 0.25
_IDLE_GPU = 0.2  # share of a call with kernels, below which most samples of it find none


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
        unseen = "" if works else " (the profiler sees no kernels on this machine, so that is not certain)"
        return (
            f"CPU fallback: no kernel ran in a call of {format_seconds(seconds)}, and {host}{unseen}. "
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
