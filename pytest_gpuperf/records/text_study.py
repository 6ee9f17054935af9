"""A study of one language model's server: what a sweep of loads brought, round by round."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Count, Name, Rate, Record, Seconds, Time
from pytest_gpuperf.records.model import Environment, Evidence
from pytest_gpuperf.records.served_load import GROWING, Share
from pytest_gpuperf.records.text_load import Api, TextLoad

TEXT_SERVING = "gpuperf-text-serving"
VERSION = 1
ENOUGH = 0.99  # share of requests that must meet all limits: MLPerf's limits are on the 99th percentile
Sweep = Literal["concurrency", "rate"]


class TextAsked(Record, frozen=True, kw_only=True):
    """What a study asks of every server."""

    sweep: Sweep
    points: Annotated[tuple[Rate, ...], Meta(min_length=1)]  # prompts in flight, or requests a second; ascending
    prompt_tokens: Count  # of each prompt, about
    max_new_tokens: Count
    requests: Count  # of a window
    rounds: Count
    api: Api
    slo: dict[Name, Seconds] = {}  # figure -> what it may take; none: goodput is not asked for


class TextPoint(Record, frozen=True, kw_only=True):
    """One load of the sweep, without its streams; or why there is none."""

    at: Rate
    load: TextLoad | None = None
    failed: Name | None = None
    within: Share | None = None  # share of answers that met all limits, where there are any
    looked_at: Count | None = None  # answers that this share is of

    @property
    def goodput(self) -> float | None:
        """Requests a second that met all limits."""
        if self.load is None or self.within is None:
            return None
        return self.load.requests_per_second * self.within

    @property
    def met(self) -> float | None:
        """Share of requests that met all limits; one that failed did not."""
        if self.load is None or self.within is None:
            return None
        return self.within * self.load.requests / (self.load.requests + sum(self.load.errors.values()))

    @property
    def falls_behind(self) -> bool:
        """Whether more was due than the server does: no window agreed with the next, and each request waited longer."""
        load = self.load
        return load is not None and not load.stable and load.growth is not None and load.growth > GROWING

    @property
    def meets_limits(self) -> bool:
        """Whether enough requests met all limits, under a load that is known to last."""
        return self.load is not None and self.load.stable and self.met is not None and self.met >= ENOUGH


class TextRound(Record, frozen=True, kw_only=True):
    """One life of a server: started, loaded point by point, stopped."""

    server_start: Seconds | None = None  # until it was ready; None: it ran already, or did not start
    points: tuple[TextPoint, ...] = ()
    failed: Name | None = None  # why there was no server


class TextStudy(Record, frozen=True, kw_only=True):
    """One server's part of a study: a file of its own."""

    format: Literal["gpuperf-text-serving"] = TEXT_SERVING
    version: Literal[1] = VERSION
    contender: Name
    time: Time
    environment: Environment  # of the machine that loaded it
    configuration: dict[Name, Any]  # as the server serves, as far as is known
    asked: TextAsked
    evidence: Evidence | None = None
    rounds: Annotated[tuple[TextRound, ...], Meta(min_length=1)]

    @property
    def unvalidated(self) -> bool:
        """Whether it is not proven which device did the work."""
        return self.evidence is None or self.evidence.verdict != "proven"

    def loads(self, at: float) -> list[TextLoad | None]:
        """The load of a point in each round; None where it failed."""
        return [None if point is None else point.load for point in self.visits(at)]

    def visits(self, at: float) -> list[TextPoint | None]:
        """A point in each round; None where there was no server."""
        return [next((point for point in one.points if point.at == at), None) for one in self.rounds]
