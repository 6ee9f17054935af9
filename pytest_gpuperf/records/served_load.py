"""What many clients at once saw of a server: its rate, its latencies, where the time went, and what to doubt."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Bytes, Count, Name, Rate, Record, Seconds
from pytest_gpuperf.records.latency import Latency

Protocol = Literal["binary", "json"]
Arrivals = Literal["closed", "poisson", "constant"]
Share = Annotated[float, Meta(ge=0, le=1)]
Elapsed = Annotated[float, Meta(ge=0, le=1e6)]  # seconds, where nothing may have passed

LATE = 0.01  # share of requests sent late beyond which the client was too slow (perf_analyzer's threshold)
BUSY = 0.5  # share of its time that a client works beyond which it may be the bottleneck (likewise)
NETWORK = 0.5  # share of the latency that is the round trip, beyond which a comparison is of networks
GROWING = 0.02  # seconds of latency a second beyond which a backlog grows without end


class Window(Record, frozen=True, kw_only=True):
    """Consecutive answers, judged together."""

    requests: Count  # answered
    seconds: Seconds
    latency: Seconds  # mean; from the schedule where there was one

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


class Wire(Record, frozen=True, kw_only=True):
    """What one request is on the wire, and what making it of arrays costs the one who asks."""

    protocol: Protocol
    request_bytes: Bytes  # head and body
    response_bytes: Bytes
    serialise: Seconds  # arrays -> request, with tritonclient
    parse: Seconds  # answer -> arrays


class RoundTrip(Record, frozen=True, kw_only=True):
    """What reaching the server takes, whatever it serves."""

    median: Seconds
    low: Seconds
    count: Count
    asked: Name  # what answered: a null model, or the server's health


class Breakdown(Record, frozen=True, kw_only=True):
    """Where the mean answer's time went, by the server's own counters: seconds."""

    queue: Elapsed
    compute_input: Elapsed
    compute_infer: Elapsed
    compute_output: Elapsed
    remainder: Elapsed  # of the latency that the client saw: network, HTTP on both sides, sockets
    source: Name  # "/v2/models/NAME/stats" or "/metrics"


class Client(Record, frozen=True, kw_only=True):
    """What generating the load took, and whether it could keep up."""

    processes: Count
    busy: Share  # share of its time that the busiest process did not wait for the server
    seconds: Elapsed  # of processor time an answer
    late: Share = 0.0  # share of requests sent late although a connection was free
    held: Share = 0.0  # share of requests that waited for a connection: the server has not kept up

    @property
    def limited(self) -> bool:
        """Whether the figures may be the client's."""
        return self.late > LATE or self.busy > BUSY


class AnyLoad(Record, frozen=True, kw_only=True):
    """What every load of a server shows, whatever is served."""

    server: Name
    model: Name
    arrivals: Arrivals
    concurrency: Count  # requests in flight; with arrivals of their own: at most
    offered: Rate | None = None  # requests a second asked for; None: as fast as answers came
    seed: int | None = None  # of Poisson arrivals
    verdict: Literal["stable", "inconclusive"]
    windows: Annotated[tuple[Window, ...], Meta(min_length=1)]  # all of them, in order
    counted: Count  # the last so many of them are what the figures are of
    growth: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None  # of the latency from the schedule: seconds a second
    errors: dict[Name, Count] = {}  # kind -> requests
    client: Client
    server_start: Seconds | None = None  # until it was ready; None: it ran already
    first_answer: Seconds  # the first request of this load
    warmup_requests: Annotated[int, Meta(ge=0)] = 0
    notes: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        """Answers that the figures are of."""
        return sum(w.requests for w in self.windows[-self.counted :])

    @property
    def seconds(self) -> float:
        """How long these took."""
        return sum(w.seconds for w in self.windows[-self.counted :])

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def stable(self) -> bool:
        """Whether three windows in a row agreed."""
        return self.verdict == "stable"

    @property
    def client_limited(self) -> bool:
        """Whether these may be figures of the client."""
        return self.client.limited

    @property
    def overloaded(self) -> bool:
        """Whether the latency from the schedule grew without end: more was offered than the server does."""
        growing = self.growth is not None and self.growth > GROWING
        return growing and not self.stable and self.client.held > LATE


class Load(AnyLoad, frozen=True, kw_only=True):
    """One load of one server. A test may assert on any of it."""

    batch: Count  # items a request
    latency: Latency  # from sending the first byte to the last byte of the answer
    from_schedule: Latency | None = None  # from when it was due: what a user waits
    wire: Wire
    mean_batch: Annotated[float, Meta(gt=0, le=1e9)] | None = None  # items that the server computed together
    breakdown: Breakdown | None = None
    round_trip: RoundTrip | None = None

    @property
    def images_per_second(self) -> float:
        """Items a second."""
        return self.batch * self.requests_per_second

    @property
    def network_share(self) -> float | None:
        """How much of the middle latency is the round trip to the server."""
        if self.round_trip is None or self.latency.p50 is None:
            return None
        return min(self.round_trip.median / self.latency.p50, 1.0)

    @property
    def network_bound(self) -> bool:
        """Whether this is a figure of the network."""
        return (self.network_share or 0.0) > NETWORK

    @property
    def end_to_end(self) -> float:
        """Seconds of the mean request, arrays to arrays."""
        return self.wire.serialise + self.latency.mean + self.wire.parse
