"""The steps of the check. Each gives rows; `run.py` calls each in a process of its own."""

from __future__ import annotations

from instrument import energy, graph, profiler, readings, spin, timing, waking
from sessions import baseline, compiled, gate, identity, memory, parity, quick, revisions, server

__all__ = [
    "baseline",
    "compiled",
    "energy",
    "gate",
    "graph",
    "identity",
    "memory",
    "parity",
    "profiler",
    "quick",
    "readings",
    "revisions",
    "server",
    "spin",
    "timing",
    "waking",
]
