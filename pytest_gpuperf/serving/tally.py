"""What a server counts of its own work, under the names and in the form that Triton gives them.

One reader then reads both servers, and whoever knows Triton's figures knows these.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
PHASES = ("compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class Executed:
    """One batch that ran; nanoseconds of its phases, and of each request's wait and whole stay."""

    rows: int
    phases: tuple[int, int, int]
    queued: Sequence[int]
    stayed: Sequence[int]


@dataclass
class _Sum:
    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        self.count += count
        self.ns += ns * count

    def shown(self) -> Json:
        return {"count": self.count, "ns": self.ns}


def _sums(names: Sequence[str]) -> dict[str, _Sum]:
    return {name: _Sum() for name in names}


@dataclass
class Tally:
    """Counts since the server started."""

    model: str
    inferences: int = 0
    executions: int = 0
    last: int = 0  # milliseconds since the epoch
    _sums: dict[str, _Sum] = field(default_factory=lambda: _sums(["success", "fail", "queue", *PHASES]))
    _batches: dict[int, dict[str, _Sum]] = field(default_factory=dict[int, dict[str, _Sum]])
    _front: dict[str, _Sum] = field(default_factory=lambda: _sums(["decode", "encode"]))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def executed(self, done: Executed, now: int) -> None:
        """A batch has run. As in Triton each of its requests is told the whole batch's phases."""
        requests = len(done.queued)
        with self._lock:
            self.inferences += done.rows
            self.executions += 1
            self.last = now
            for queued, stayed in zip(done.queued, done.stayed, strict=True):
                self._sums["queue"].add(queued)
                self._sums["success"].add(stayed)
            by_size = self._batches.setdefault(done.rows, _sums(PHASES))
            for phase, ns in zip(PHASES, done.phases, strict=True):
                self._sums[phase].add(ns, requests)
                by_size[phase].add(ns)

    def failed(self, ns: int) -> None:
        """A request was answered with an error."""
        with self._lock:
            self._sums["fail"].add(ns)

    def front_end(self, what: str, ns: int) -> None:
        """Reading a request, or writing an answer: what a server's own counts usually leave out."""
        with self._lock:
            self._front[what].add(ns)

    def statistics(self) -> Json:
        """As Triton's ``/v2/models/M/stats``."""
        with self._lock:
            sizes = sorted(self._batches)
            return {
                "model_stats": [
                    {
                        "name": self.model,
                        "version": "1",
                        "last_inference": self.last,
                        "inference_count": self.inferences,
                        "execution_count": self.executions,
                        "inference_stats": {name: total.shown() for name, total in self._sums.items()},
                        "batch_stats": [
                            {"batch_size": size} | {name: t.shown() for name, t in self._batches[size].items()}
                            for size in sizes
                        ],
                    }
                ]
            }

    def prometheus(self, pending: int, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """As Triton's ``/metrics``; gauges are values by labels, by name."""
        label = f'{{model="{self.model}",version="1"}}'
        with self._lock:
            total = self._sums
            counters = {
                "nv_inference_request_success": total["success"].count,
                "nv_inference_request_failure": total["fail"].count,
                "nv_inference_count": self.inferences,
                "nv_inference_exec_count": self.executions,
                "nv_inference_request_duration_us": total["success"].ns // 1000,
                "nv_inference_queue_duration_us": total["queue"].ns // 1000,
                **{f"nv_inference_{phase}_duration_us": total[phase].ns // 1000 for phase in PHASES},
                **{f"gpuperf_{what}_duration_us": held.ns // 1000 for what, held in self._front.items()},
            }
        lines = [
            line for name, value in counters.items() for line in (f"# TYPE {name} counter", f"{name}{label} {value}")
        ]
        lines += ["# TYPE nv_inference_pending_request_count gauge"]
        lines += [f"nv_inference_pending_request_count{label} {pending}"]
        for name, values in gauges.items():
            lines += [f"# TYPE {name} gauge", *(f"{name}{labels} {value}" for labels, value in values.items())]
        return "\n".join(lines) + "\n"
