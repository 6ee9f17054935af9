"""A study of one serving back end: its configuration, and what loads of it brought."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Count, Name, Record, Seconds, Time
from pytest_gpuperf.records.model import Environment, Evidence
from pytest_gpuperf.records.served_load import Load, Protocol

SERVING = "gpuperf-serving"
VERSION = 1
Situation = Literal["single", "batch", "concurrent"]


class Asked(Record, frozen=True, kw_only=True):
    """What a study asks of every back end."""

    workload: Name
    scale: Name
    batches: tuple[Count, ...]  # one request at a time
    concurrency: tuple[Count, ...]  # requests of one item at once
    requests: Count  # of a window
    protocols: tuple[Protocol, ...]
    rounds: Count


class Visit(Record, frozen=True, kw_only=True):
    """One load, and what it stands for."""

    situation: Situation
    load: Load


class Round(Record, frozen=True, kw_only=True):
    """One life of a server: started, loaded, stopped."""

    server_start: Seconds | None = None  # until it was ready; None: it ran already
    first_answer: Seconds  # of the first request to it
    visits: tuple[Visit, ...]


class BackendStudy(Record, frozen=True, kw_only=True):
    """One back end's part of a study: a file of its own."""

    format: Literal["gpuperf-serving"] = SERVING
    version: Literal[1] = VERSION
    backend: Name
    time: Time
    environment: Environment
    configuration: dict[Name, Any]  # as the server was told to serve
    asked: Asked
    evidence: Evidence | None = None
    rounds: Annotated[tuple[Round, ...], Meta(min_length=1)]

    @property
    def unvalidated(self) -> bool:
        """Whether it is not proven which device did the work."""
        return self.evidence is None or self.evidence.verdict != "proven"
