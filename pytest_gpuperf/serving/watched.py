"""A server that is watched while it is loaded: what it shows of itself, and what NVML shows of its processes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean
from time import monotonic, sleep
from typing import Self

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.nvml import NvmlDevice
from pytest_gpuperf.device.power import Sampler
from pytest_gpuperf.device.processes import stat_of
from pytest_gpuperf.device.readings import known
from pytest_gpuperf.measure.evidence import power_rose
from pytest_gpuperf.records.model import Evidence, Rating, Witness
from pytest_gpuperf.records.units import MiB, format_bytes
from pytest_gpuperf.serving.proof import Expected, expected_of, look, prove
from pytest_gpuperf.serving.server import Server

_LEAST = 64 * MiB  # that a model's weights hold on a card; a context alone may hold more, so power has to speak too
_IDLE = 0.3  # seconds whose watts are those of a server that is not asked
_SAMPLES = 0.05  # seconds between two readings of them


@dataclass
class _Card:
    """One card on which the server holds memory."""

    device: NvmlDevice
    held: int
    idle: float | None
    sampler: Sampler

    def witnesses(self, expected: Expected) -> list[Witness]:
        """What it shows of the load."""
        name = known(self.device.name) or "GPU"
        of_weights: Rating = (
            "says nothing" if self.held < _LEAST else "supports" if expected == "cuda" else "speaks against"
        )
        found = [_witness("memory on the GPU", of_weights, f"{format_bytes(self.held)} held by the server on {name}")]
        watts = [value for _, value in self.sampler.watts]
        if watts and self.idle is not None and expected == "cuda":
            busy = mean(watts)
            figure = f"{self.idle:.1f} W before it was asked, {busy:.1f} W under load"
            if (why := GpuMeter(self.device).refused()) is not None:
                found.append(_witness("power", "says nothing", f"{figure}; {why.reason}"))
            else:
                found.append(_witness("power", "supports" if power_rose(self.idle, busy) else "says nothing", figure))
        return found


class Watched:
    """``with Watched(server) as watched:`` load it, then ``watched.evidence(latency)``."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cards: list[_Card] = []
        self._stack = ExitStack()
        self._seconds = 0.0

    def __enter__(self) -> Self:
        for device, held in _held(self._server):
            meter = GpuMeter(device)
            with Sampler(meter, _SAMPLES) as resting:
                sleep(_IDLE)
            watts = [value for _, value in resting.watts]
            sampler = self._stack.enter_context(Sampler(meter, _SAMPLES))
            self._cards.append(_Card(device, held, mean(watts) if watts else None, sampler))
        self._before = look(self._server)
        self._begun = monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = monotonic() - self._begun
        self._stack.close()

    def evidence(self, latency: float | None = None) -> Evidence:
        """What shows which device did the work; `latency` is the mean answer's."""
        expected = expected_of(self._server)
        cards = [witness for card in self._cards for witness in card.witnesses(expected)]
        return prove(self._server, latency, before=self._before, seconds=self._seconds, cards=cards)


def _held(server: Server) -> list[tuple[NvmlDevice, int]]:
    """The cards on which the processes of a server that was started here hold memory, and how much."""
    if server.process is None:
        return []
    found: list[tuple[NvmlDevice, int]] = []
    for device in known(nvml.gpus()) or ():
        mine = [p.memory or 0 for p in known(device.processes()) or () if _group(p.pid) == server.process.pid]
        if mine:
            found.append((device, sum(mine)))
    return found


def _group(pid: int) -> int | None:
    try:
        return int(stat_of(pid)[2])
    except (OSError, ValueError, IndexError):
        return None


def _witness(name: str, rating: Rating, figure: str) -> Witness:
    return Witness(name=name, rating=rating, figure=figure)
