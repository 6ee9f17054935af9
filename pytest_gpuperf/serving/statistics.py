"""Where the time went, from the server's own counters before and after: only differences mean anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pytest_gpuperf.records.served_load import Breakdown
from pytest_gpuperf.serving.exchange import exchange, fetched
from pytest_gpuperf.serving.server import Server

_TIMEOUT = 10.0
_NO_COUNTERS = (OSError, ValueError, KeyError, TypeError)  # a server need not have them: unknown, and no failure


@dataclass(frozen=True)
class Counters:
    """What one model's server has counted since it started; seconds."""

    source: str
    requests: float
    items: float
    executions: float
    queue: float
    compute_input: float
    compute_infer: float
    compute_output: float


def counters(server: Server) -> Counters | None:
    """The model's statistics, or else its metrics; None where the server has neither."""
    if server.kind == "openai":
        return None
    for read in (_statistics, _metrics):
        try:
            totals = read(server)
        except _NO_COUNTERS:
            continue
        if totals is not None:
            return totals
    return None


def mean_batch(before: Counters | None, after: Counters | None) -> float | None:
    """Items that were computed together, on average: above the request's own batch, dynamic batching works."""
    if before is None or after is None or after.executions <= before.executions or after.items <= before.items:
        return None
    return (after.items - before.items) / (after.executions - before.executions)


def breakdown(before: Counters | None, after: Counters | None, latency: float) -> Breakdown | None:
    """Of the mean answer, beside the latency that the client saw."""
    if before is None or after is None or after.requests <= before.requests:
        return None
    count = after.requests - before.requests

    def each(name: str) -> float:
        return max(getattr(after, name) - getattr(before, name), 0.0) / count

    parts = {name: each(name) for name in ("queue", "compute_input", "compute_infer", "compute_output")}
    return Breakdown(**parts, remainder=max(latency - sum(parts.values()), 0.0), source=after.source)


def _statistics(server: Server) -> Counters | None:
    path = f"/v2/models/{quote(server.model)}/stats"
    reply = exchange(server.url, path, timeout=_TIMEOUT)
    if reply.status != 200:
        return None
    versions: list[dict[str, Any]] = json.loads(reply.content)["model_stats"]

    def seconds(kind: str) -> float:
        return sum(v["inference_stats"][kind]["ns"] for v in versions) / 1e9

    return Counters(
        source=path,
        requests=sum(v["inference_stats"]["success"]["count"] for v in versions),
        items=sum(v["inference_count"] for v in versions),
        executions=sum(v["execution_count"] for v in versions),
        queue=seconds("queue"),
        compute_input=seconds("compute_input"),
        compute_infer=seconds("compute_infer"),
        compute_output=seconds("compute_output"),
    )


def samples(url: str, prefix: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """What a server's /metrics says under that prefix: name, labels, value. ValueError where it is no such text."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - few servers have metrics

    for family in text_string_to_metric_families(fetched(url, _TIMEOUT).decode(errors="replace")):
        for name, labels, value, *_ in family.samples:
            if name.startswith(prefix):
                yield name.removeprefix(prefix).removesuffix("_total"), labels, value


def _metrics(server: Server) -> Counters | None:
    if server.metrics_url is None:
        return None
    totals: dict[str, float] = {}
    for name, labels, value in samples(server.metrics_url, "nv_inference_"):
        if labels.get("model") == server.model:
            totals[name] = totals.get(name, 0.0) + value
    return Counters(
        source="/metrics",
        requests=totals["request_success"],
        items=totals["count"],
        executions=totals["exec_count"],
        queue=totals["queue_duration_us"] / 1e6,
        compute_input=totals["compute_input_duration_us"] / 1e6,
        compute_infer=totals["compute_infer_duration_us"] / 1e6,
        compute_output=totals["compute_output_duration_us"] / 1e6,
    )
