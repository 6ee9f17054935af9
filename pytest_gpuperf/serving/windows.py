"""Cutting a load into windows while it goes on, and what the rows of some of them say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.records.served_load import Client, Window
from pytest_gpuperf.serving.worker import ROW, TICK
from pytest_gpuperf.serving.workers import Rows

Figures = NDArray[np.float64]

IN_A_ROW = 3
AGREEMENT = 1.10  # the largest over the smallest of them, in rate and in latency: perf_analyzer's rule and figures
TRIALS = 10  # windows after which it is given up
DUE, SENT, WRITTEN, ANSWERED, DONE, OUTCOME, HELD = range(len(ROW))
NOW, PROCESSOR, WAITED, IN_FLIGHT = range(len(TICK))
LATE = 1_000_000  # nanoseconds after which a request that a connection was free for was sent late
ROUNDS = 2  # samples are of so many answers a connection: answers come in batches
MOST_SAMPLES = 96
FEWEST_SAMPLES = 6  # of a window: a session keeps 16 medians of three


def stable(windows: Sequence[Window]) -> bool:
    """Whether the last three windows agree."""
    last = windows[-IN_A_ROW:]
    return len(last) == IN_A_ROW and _agree([w.rate for w in last]) and _agree([w.latency for w in last])


def _agree(figures: Sequence[float]) -> bool:
    return max(figures) <= AGREEMENT * min(figures)


@dataclass(frozen=True)
class Cut:
    """One window: what was answered after `start` and until `end`, both of which are moments of an answer."""

    start: int
    end: int
    window: Window


def answered(rows: Rows) -> Rows:
    """The rows of requests that were answered without a fault."""
    return rows[rows[:, OUTCOME] == 0]


def cut(rows: Rows, start: int, known: int, *, requests: int, seconds: float, scheduled: bool) -> Cut | None:
    """The next window, as soon as it has so many answers and lasts so long.

    `known` is the moment until which all rows are here.
    """
    good = answered(rows)
    good = good[(good[:, DONE] > start) & (good[:, DONE] <= known)]
    long_enough = np.flatnonzero(good[:, DONE] - start >= seconds * 1e9)
    if len(good) < requests or not long_enough.size:
        return None
    last = max(requests - 1, int(long_enough[0]))
    end = int(good[last, DONE])
    took = latencies(good[: last + 1], scheduled=scheduled)
    window = Window(requests=last + 1, seconds=(end - start) / 1e9, latency=float(took.mean()))
    return Cut(start, end, window)


def latencies(rows: Rows, *, scheduled: bool) -> Figures:
    """Seconds from sending, or from when they were due, to the last byte of the answer."""
    return np.maximum(rows[:, DONE] - rows[:, DUE if scheduled else SENT], 1) / 1e9


def within(rows: Rows, start: int, end: int) -> Rows:
    """The rows of requests that were done in a stretch of time."""
    return rows[(rows[:, DONE] > start) & (rows[:, DONE] <= end)]


def samples(rows: Rows, start: int, connections: int, weights: Figures | None = None) -> tuple[float, ...]:
    """Seconds an answer, of consecutive stretches with as many answers each: what the gate judges.

    With weights, seconds a unit of them: a token.
    """
    done = rows[:, DONE]
    ends = stretches(len(done), connections)
    moments = np.concatenate([[start], done[ends - 1]])
    each = np.ones(len(done)) if weights is None else weights
    counts = np.add.reduceat(each, np.concatenate([[0], ends[:-1]]))
    return tuple(float(s) for s in np.maximum(np.diff(moments), 1) / counts / 1e9)


def stretches(count: int, connections: int) -> NDArray[np.intp]:
    """Where consecutive stretches of so many answers end."""
    wanted = int(np.clip(count // (ROUNDS * connections), FEWEST_SAMPLES, MOST_SAMPLES))
    wanted = max(min(wanted, count), 1)
    return np.arange(1, wanted + 1) * count // wanted


def growth(rows: Rows) -> float:
    """Seconds by which the latency from the schedule grows in each second."""
    due, took = rows[:, DUE] / 1e9, latencies(rows, scheduled=True)
    spread = due - due.mean()
    power = float(spread @ spread)
    return float(spread @ took) / power if power else 0.0


def client(rows: Rows, ticks: list[Rows], start: int, end: int, *, scheduled: bool) -> Client:
    """How busy the load generator was between two moments, and how many requests it sent late."""
    shares: list[float] = []
    processor = 0.0
    for process_ticks in ticks:
        wall, used, waited = (
            np.diff(np.interp([start, end], process_ticks[:, NOW], process_ticks[:, i]))
            for i in (NOW, PROCESSOR, WAITED)
        )
        shares.append(float(np.clip(1 - waited[0] / wall[0], 0.0, 1.0)) if wall[0] > 0 else 0.0)
        processor += float(used[0]) / 1e9
    held = rows[:, HELD] == 1
    late = (rows[:, SENT] - rows[:, DUE] > LATE) & ~held
    return Client(
        processes=len(ticks),
        busy=max(shares),
        seconds=processor / max(len(answered(rows)), 1),
        late=float(late.mean()) if scheduled else 0.0,
        held=float(held.mean()) if scheduled else 0.0,
    )
