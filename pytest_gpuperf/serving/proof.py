"""Which device a server computes on, and what shows it: its own report, its instances, counters and log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from pytest_gpuperf.measure.evidence import Request, diagnose_server, verdict_of
from pytest_gpuperf.records.model import Evidence, Proof, Rating, Witness
from pytest_gpuperf.records.units import format_bytes, format_seconds
from pytest_gpuperf.serving.exchange import exchange
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.server_process import processor_seconds
from pytest_gpuperf.serving.statistics import Counters, counters, samples

Expected = Literal["cuda", "cpu"]
_TIMEOUT = 10.0
_BUSY = 0.25  # processor seconds in a second of computing: instances wait for memory and for each other
_TICKS = 0.05  # seconds of computing: of less, the system's ticks of 10 ms show nothing
_SERVES_ON = re.compile(r"gpuperf: (?:instance )?(\S+) serves on (cpu|cuda:\d+), ([^\n\"]*)")
_STATEMENTS = frozenset({"start-up log", "instance kind"})  # what it is configured to do, or says that it does
_LOG = 2000  # lines: its start is among them


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a server shows of itself at one moment."""

    info: Mapping[str, Any] = field(default_factory=dict[str, Any])  # /gpu-info
    kinds: tuple[str, ...] = ()  # of its instances: KIND_GPU, KIND_CPU, ...
    counted: Counters | None = None
    processor: float | None = None  # seconds of all its processes
    gpus: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])  # by UUID
    devices_in_log: tuple[tuple[str, str], ...] = ()  # (device, how) of each instance


def look(server: Server) -> Look:
    """Ask a server for everything; what it does not answer is left out."""
    processor = None if server.process is None else processor_seconds(server.process.pid)
    if server.kind == "openai":  # that protocol tells nothing of devices
        return Look(processor=processor)
    info = _json(server, "/gpu-info")
    config = _json(server, f"/v2/models/{quote(server.model)}/config")
    groups: Sequence[Mapping[str, Any]] = config.get("instance_group", ())
    return Look(
        info=info,
        kinds=tuple(dict.fromkeys(str(group.get("kind")) for group in groups)),
        counted=counters(server),
        processor=processor,
        gpus=_gpus(server),
        devices_in_log=tuple((device, how.strip()) for _, device, how in _SERVES_ON.findall(server.log_tail(_LOG))),
    )


def expected_of(server: Server) -> Expected:
    """The kind of device that a server is configured for; a server that runs elsewhere is expected on a GPU."""
    devices = server.configuration.get("devices")
    return "cpu" if isinstance(devices, list | tuple) and list(devices) == ["cpu"] else "cuda"


def prove(
    server: Server,
    latency: float | None = None,
    *,
    before: Look | None = None,
    seconds: float = 0.0,
    cards: Sequence[Witness] = (),
) -> Evidence:
    """What shows which device did the work since a look before; without that, since the server's start."""
    return judge(expected_of(server), before or Look(), look(server), latency, seconds=seconds, cards=cards)


def judge(
    expected: Expected,
    before: Look,
    after: Look,
    latency: float | None,
    *,
    seconds: float = 0.0,
    cards: Sequence[Witness] = (),
) -> Evidence:
    """Pure: from two looks at a server to the witnesses and what they amount to.

    `latency` is the mean answer's. `seconds` is how long the load took: a server that does not count what it computes
    is taken to compute all the time. `cards` is what NVML showed of its processes meanwhile.
    """
    work = _work(before, after, seconds)
    devices = before.devices_in_log or after.devices_in_log
    witnesses = [
        *_log(expected, devices),
        *_instances(expected, after.kinds),
        *_replicas(expected, after.info),
        *_gpu_time(expected, before.info, after.info),
        *_processor(expected, work),
        *_metrics(before.gpus, after.gpus),
        *cards,
    ]
    if not witnesses:
        witnesses = [_witness("server", "says nothing", "it tells neither its device nor its work")]
    utilization = [
        u for g in (before.gpus, after.gpus) for gpu in g.values() if (u := gpu.get("utilization")) is not None
    ]
    idle = expected == "cuda" and bool(utilization) and max(utilization) == 0
    request = Request(
        latency=latency or work.latency,
        computing=work.computing,
        host_share=work.host_share,
        gpu_share=_gpu_share(before.info, after.info, work),
    )
    return Evidence(
        verdict=_verdict(tuple(witnesses)),
        witnesses=tuple(witnesses),
        diagnosis=diagnose_server(request) if idle else None,
    )


def _verdict(witnesses: tuple[Witness, ...]) -> Proof:
    """A server's statements can contradict, or confirm what was observed; alone they prove nothing, however many."""
    found = verdict_of(witnesses)
    observed = any(w.rating in {"supports", "proves"} for w in witnesses if w.name not in _STATEMENTS)
    return found if observed or found != "proven" else "unknown"


@dataclass(frozen=True)
class _Work:
    """What a server did between two looks."""

    seconds: float  # in the model, all batches
    computing: float | None  # of the mean request
    latency: float  # of the mean request, by the server's own counters
    processor: float | None

    @property
    def host_share(self) -> float | None:
        """Processor seconds in a second of computing."""
        return None if self.processor is None or not self.seconds else self.processor / self.seconds


def _work(before: Look, after: Look, seconds: float) -> _Work:
    then, now = before.counted, after.counted
    spent = None if after.processor is None else after.processor - (before.processor or 0.0)
    if now is None:
        return _Work(seconds, None, 0.0, spent)

    def more(name: str) -> float:
        return float(getattr(now, name) - (getattr(then, name) if then else 0.0))

    requests, executions = more("requests"), more("executions")
    if not requests:
        return _Work(0.0, None, 0.0, spent)
    computing = more("compute_infer") / requests  # each request counts its whole batch's time
    latency = sum(more(name) for name in ("queue", "compute_input", "compute_infer", "compute_output")) / requests
    return _Work(computing * executions, computing, latency, spent)


def _log(expected: Expected, devices: Sequence[tuple[str, str]]) -> list[Witness]:
    if not devices:
        return []
    shown = ", ".join(dict.fromkeys(f"{device} ({how})" for device, how in devices))
    return [_witness("start-up log", _fits(expected, [device for device, _ in devices]), f"serves on {shown}")]


def _instances(expected: Expected, kinds: Sequence[str]) -> list[Witness]:
    if not kinds:
        return []
    places = {"KIND_GPU": "cuda", "KIND_CPU": "cpu"}
    known = [places[kind] for kind in kinds if kind in places]
    rating: Rating = _fits(expected, known) if len(known) == len(kinds) else "says nothing"
    return [_witness("instance kind", rating, ", ".join(kinds))]


def _replicas(expected: Expected, info: Mapping[str, Any]) -> list[Witness]:
    replicas: Sequence[Mapping[str, Any]] = info.get("replicas", ())
    held: dict[str, int] = {}
    for replica in replicas:
        for device, amount in replica.get("parameter_bytes", {}).items():
            held[device] = held.get(device, 0) + int(amount)
    if not held:
        return []
    shown = ", ".join(f"{format_bytes(amount)} on {device}" for device, amount in sorted(held.items()))
    found = [_witness("parameters", _fits(expected, list(held)), shown)]
    outputs = [str(r["outputs_on"]) for r in replicas if r.get("outputs_on")]
    if outputs:
        found.append(_witness("outputs", _fits(expected, outputs), f"on {', '.join(dict.fromkeys(outputs))}"))
    return found


def _gpu_seconds(info: Mapping[str, Any]) -> float:
    return sum(float(replica.get("gpu_seconds", 0.0)) for replica in info.get("replicas", ()))


def _gpu_time(expected: Expected, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Witness]:
    spent = _gpu_seconds(after) - _gpu_seconds(before)
    if spent <= 0:
        return []
    rating: Rating = "proves" if expected == "cuda" else "contradicts"
    return [_witness("GPU time", rating, f"{format_seconds(spent)} between CUDA events around the model")]


def _gpu_share(before: Mapping[str, Any], after: Mapping[str, Any], work: _Work) -> float | None:
    if "replicas" not in after or not work.seconds:
        return None
    return (_gpu_seconds(after) - _gpu_seconds(before)) / work.seconds


def _processor(expected: Expected, work: _Work) -> list[Witness]:
    share = work.host_share
    if share is None:
        return []
    figure = f"busy for {share:.0%} of {format_seconds(work.seconds)} of computing"
    if work.seconds < _TICKS:
        return [_witness("processor time", "says nothing", f"{figure}: too short to tell")]
    if expected == "cpu":
        return [_witness("processor time", "proves" if share >= _BUSY else "says nothing", figure)]
    # A host that waits fits a GPU that works; a busy one may only spin until the GPU has finished.
    return [_witness("processor time", "supports" if share < _BUSY else "says nothing", figure)]


def _metrics(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> list[Witness]:
    """Triton's figures are of the whole card: others may use it too, so they only fit."""
    found: list[Witness] = []
    for uuid, now in after.items():
        parts = [f"{now['utilization']:.0%} busy"] if "utilization" in now else []
        if "memory_used_bytes" in now:
            parts.append(f"{format_bytes(int(now['memory_used_bytes']))} in use")
        joules = now.get("energy_consumption", 0.0) - before.get(uuid, {}).get("energy_consumption", 0.0)
        if before.get(uuid) and joules > 0:
            parts.append(f"{joules:.0f} J spent")
        if parts:
            found.append(_witness("GPU metrics", "says nothing", f"{uuid[:12]}: {', '.join(parts)}"))
    return found


def _fits(expected: Expected, devices: Sequence[str]) -> Rating:
    """Everything where it is expected supports; anything elsewhere contradicts."""
    return "supports" if all(device.partition(":")[0] == expected for device in devices) else "contradicts"


def _witness(name: str, rating: Rating, figure: str) -> Witness:
    return Witness(name=name, rating=rating, figure=figure)


def _json(server: Server, path: str) -> Mapping[str, Any]:
    try:
        reply = exchange(server.url, path, timeout=_TIMEOUT)
        document: object = json.loads(reply.content) if reply.status == 200 else {}
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON


def _gpus(server: Server) -> Mapping[str, Mapping[str, float]]:
    if server.metrics_url is None:
        return {}
    found: dict[str, dict[str, float]] = {}
    try:
        for name, labels, value in samples(server.metrics_url, "nv_gpu_"):
            found.setdefault(labels.get("gpu_uuid", ""), {})[name] = value
    except (OSError, ValueError):
        return {}
    return found
