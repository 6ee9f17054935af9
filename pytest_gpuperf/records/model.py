"""What a result is: frozen, typed records, and nothing that was measured is changed afterwards.

    Run       everything one pytest invocation recorded       Baseline   what was accepted, one kind of device
    ├── Environment ── Device                                  ├── Environment ── Device
    ├── Session ...    one process: id, time, revision, card   ├── Session ...
    ├── Scope          what was collected and what was not     └── Accepted ...   one case
    ├── Confirmation   how suspects were measured again            ├── Series ...  its 16 block medians in one session
    ├── Beside ...     what that showed of them                    └── Profile     what one call of it ran
    └── Case ...       one measured call
        ├── Measurement ...  what one session measured of it
        └── Profile     what one call of it ran, untimed

Times are seconds per call, memory is bytes, energy is joules per item.
"""

from __future__ import annotations

from itertools import chain
from statistics import median
from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.fields import Block, Bytes, Count, Fraction, Joules, Name, Rate, Record, Seconds, Time
from pytest_gpuperf.records.generation import Generation
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.latency import Latency, latency_of
from pytest_gpuperf.records.pipeline import PipelineFigures
from pytest_gpuperf.records.served_load import Load
from pytest_gpuperf.records.text_load import TextLoad

MEDIANS = 16  # block medians a baseline keeps of each session
SESSIONS_KEPT = 20  # sessions a baseline keeps of each case
KERNELS_KEPT = 20  # those that took longest, of each profile

Provenance = Literal["measured", "published"]
MetricKind = Literal["time", "peak_memory", "energy"]
Rating = Literal["proves", "supports", "says nothing", "speaks against", "contradicts"]
Proof = Literal["proven", "contradicted", "unknown"]
Word = Literal[
    "regressed",
    "improved",
    "unchanged",  # within the verdict's margin
    "inconclusive",
    "reference",  # beside a publication's figure
    "environment",  # no code changed, but versions of software did
    "machine",  # no code changed and no version: what moved is the machine
]
Basis = Literal["baseline", "fresh sessions", "turns"]  # what a verdict rests on


class Device(Record, frozen=True, kw_only=True):
    """The hard identity of a kind of device: figures of two kinds are never compared."""

    kind: Literal["cuda", "cpu"]
    name: Name
    memory: Bytes | None = None  # None: not known (a file of another tool does not say)
    capability: str | None = None  # compute capability, "7.5"
    mig: str | None = None  # MIG profile, "3g.40gb"
    power_limit: Annotated[float, Meta(gt=0)] | None = None  # watts; None: not known
    cores: Annotated[int, Meta(ge=1)] | None = None  # CPU only

    @property
    def slug(self) -> str:
        """The file name of this device's baseline: ``tesla-t4``, ``cpu-intel-xeon-2-cores``."""
        words = (
            self.name if self.kind == "cuda" else f"cpu {self.name}" + (f" {self.cores} cores" if self.cores else "")
        )
        words += f" {self.mig}" if self.mig else ""
        kept = "".join(c if c.isalnum() or c == "." else " " for c in words.lower().removeprefix("nvidia "))
        return "-".join(kept.split()).strip(".-") or "unnamed"


class Environment(Record, frozen=True, kw_only=True):
    """Where figures come from: the kind of device, and the versions that are reported when they differ."""

    device: Device
    software: dict[Name, str] = {}  # "driver", "cuda", "torch", "python", ... -> version


class Session(Record, frozen=True, kw_only=True):
    """One process that measured: the unit of replication."""

    id: Name
    time: Time
    revision: str | None = None  # git commit, "+dirty" appended where it was
    card: str | None = None  # hash of the card's UUID: which card, without saying whose
    packages: Name | None = None  # hash of the names and versions of everything that was installed
    canaries: dict[Name, Block] = {}  # fixed work, one reading each time they ran, in order


class Rule(Record, frozen=True, kw_only=True):
    """The policy a test carries; what it leaves out, the session's settings decide."""

    tolerance: dict[Name, Fraction] = {}  # metric -> fraction
    margin: Fraction | None = None  # in which a case is unchanged; None: what its sessions can tell ...
    margin_cap: Fraction | None = None  # ... up to this


class Summary(Record, frozen=True, kw_only=True):
    """A few figures of a sequence of times."""

    mean: float
    median: float
    low: float  # smallest
    high: float  # largest
    count: int


class Witness(Record, frozen=True, kw_only=True):
    """One thing that was looked at to learn which device did the work."""

    name: Name
    rating: Rating
    figure: str  # what was seen, in words and figures


class Evidence(Record, frozen=True, kw_only=True):
    """What shows that the device did the work."""

    verdict: Proof
    witnesses: tuple[Witness, ...] = ()
    diagnosis: str | None = None  # of a GPU that seems to do nothing


class Ceiling(Record, frozen=True, kw_only=True):
    """The most a device does, measured in the session."""

    product: Rate  # floating-point operations a second of a large matrix product, in the workload's precision
    copy: Rate  # bytes a second of a large copy, read and written


class Measurement(Record, frozen=True, kw_only=True):
    """What one session measured of one case. A test may assert on any of it."""

    session: Name
    items: Count  # items per call: what throughput counts
    clock: Name  # the clock of `blocks`: "cuda-event" or "host"
    blocks: Annotated[tuple[Block, ...], Meta(min_length=1)]  # seconds per call, one sample a span, block by block
    span_calls: Count  # calls timed together in one span
    ended: Literal["steady", "cap"]  # why sampling stopped
    interval: Annotated[float, Meta(ge=0)]  # half width of the median's 95 % interval, relative
    walls: tuple[Seconds, ...] = ()  # host-synchronised seconds per call of each block (CUDA)
    latencies: tuple[Seconds, ...] = ()  # single calls, host clock, synchronised on both sides
    first_call: Seconds | None = None
    warmup_calls: Annotated[int, Meta(ge=0)] = 0
    warmup_seconds: Annotated[float, Meta(ge=0)] = 0.0
    peak_memory: Bytes | None = None  # without what tensors held before the test began that are no part of the call
    peak_allocated: Bytes | None = None  # with it: what torch's allocator had handed out at most
    memory_source: str | None = None  # "torch allocator" or "RSS"
    energy: Joules | None = None  # joules per item
    energy_above_idle: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None  # without what an idle device takes
    state: Name | None = None  # a slow-down that persisted: "thermal slow-down"
    temperature: Annotated[int, Meta(ge=-300, le=1000)] | None = None  # the highest, degrees Celsius
    sm_clock: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None  # the median, MHz: explains a figure
    evidence: Evidence | None = None
    flops: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None  # of one call, counted on the eager model
    ceiling: Ceiling | None = None
    compile_cost: CompileCost | None = None  # where torch.compile had a part in it
    load: Load | None = None  # of a server, where that was measured
    generation: Generation | None = None  # of a language model that generated
    text_load: TextLoad | None = None  # of a language model's server, where that was measured
    pipeline: PipelineFigures | None = None  # of a pipeline, where that was measured
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> tuple[float, ...]:
        """Every sample, in order."""
        return tuple(chain.from_iterable(self.blocks))

    @property
    def unvalidated(self) -> bool:
        """Whether it was looked at which device did the work, and that is not proven."""
        return self.evidence is not None and self.evidence.verdict != "proven"

    @property
    def device_time(self) -> Summary:
        """Seconds per call by `clock`: spans are means of several calls, so there are no percentiles here."""
        samples = self.samples
        count, low, high = len(samples), min(samples), max(samples)
        return Summary(mean=sum(samples) / count, median=median(samples), low=low, high=high, count=count)

    @property
    def throughput(self) -> float:
        """Items per second of back-to-back calls: by the host's clock on CUDA, else by `clock`."""
        return self.items / median(self.walls or self.samples)

    @property
    def latency(self) -> Latency | None:
        """One call, host clock, synchronised on both sides."""
        return latency_of(self.latencies) if self.latencies else None

    @property
    def flops_per_second(self) -> float | None:
        """Floating-point operations a second on the device."""
        return None if self.flops is None else self.flops / median(self.samples)

    @property
    def ceiling_share(self) -> float | None:
        """How much of what the device can do: above 1, the measurement cannot be true."""
        rate = self.flops_per_second
        return None if rate is None or self.ceiling is None else rate / self.ceiling.product

    @property
    def host_gap(self) -> float | None:
        """Seconds a call takes on the host's clock beyond its time on the device; None off CUDA."""
        return median(self.walls) - median(self.samples) if self.walls else None


class Kernel(Record, frozen=True, kw_only=True, gc=False):
    """All launches of one kernel in one call, or all runs of one operator on the host."""

    name: Name  # shortened so that a person reads it
    within: Name | None = None  # the outermost operator it ran for, where that has another name: "contiguous"
    count: Count
    seconds: Annotated[float, Meta(ge=0, le=1e6)]  # in all
    inputs: dict[Name, Count] = {}  # "bf16 channels_last" -> how often its main input was such
    shape: Name | None = None  # of the largest main input: "8x3x224x224"


class Profile(Record, frozen=True, kw_only=True):
    """What torch's profiler saw in one call that was not timed: it tells causes, never figures."""

    session: Name
    unit: Literal["kernel", "operator"]  # of the GPU, or of the host
    launches: Annotated[int, Meta(ge=0, le=2**40)]
    busy: Annotated[float, Meta(ge=0, le=1e6)]  # seconds in which some of them ran
    idle: Annotated[float, Meta(ge=0, le=1e6)]  # seconds of the call in which none did; GPU: from first to last kernel
    kernels: Annotated[tuple[Kernel, ...], Meta(max_length=KERNELS_KEPT)] = ()  # the longest first
    parameters: dict[Name, Bytes] = {}  # "fp16" -> bytes of the workload's parameters
    settings: dict[Name, str] = {}  # what torch was set to in that call: "threads", "tf32", "cudnn.benchmark", ...

    @property
    def unlisted(self) -> int:
        """Launches beyond those of the kernels that are kept."""
        return self.launches - sum(k.count for k in self.kernels)

    def same_work(self, other: Profile) -> bool:
        """Whether the other ran the same kernels as often, on the same types, however long they took."""
        if (self.unit, self.launches, self.settings) != (other.unit, other.launches, other.settings):
            return False
        mine, theirs = self._work, other._work
        # Of more kernels than are kept, which of the short ones are kept is chance.
        count = len(mine) // 2 if self.unlisted or other.unlisted else len(mine)
        longest = {*list(mine)[:count], *list(theirs)[:count]}
        return set(self.parameters) == set(other.parameters) and all(mine.get(k) == theirs.get(k) for k in longest)

    @property
    def _work(self) -> dict[tuple[str, str | None], object]:
        return {(k.name, k.within): (k.count, k.inputs) for k in self.kernels}


class Case(Record, frozen=True, kw_only=True):
    """One measured call: a test's node id, and a name where the test measures more than once."""

    id: Name  # `test`, plus "#name", plus "#flush" or "#rotate" where that was done to the cache
    test: Name  # pytest's node id
    line: Annotated[int, Meta(ge=1)] | None = None  # where the test function starts, from 1
    parameters: dict[Name, str] = {}  # what the test was parametrized with, as text: {"precision": "fp16"}
    rule: Rule = Rule()
    measurements: Annotated[tuple[Measurement, ...], Meta(min_length=1)]
    profile: Profile | None = None  # None: nobody asked why, or nothing of torch ran

    @property
    def file(self) -> str:
        """The test's file, relative to pytest's root directory."""
        return self.test.split("::", 1)[0]


class Scope(Record, frozen=True, kw_only=True):
    """What the invocation covered: how a vanished case is told from one that was not asked for."""

    paths: tuple[str, ...] = ()  # the arguments that are files or folders, relative to pytest's root; "." is all of it
    ignored: tuple[str, ...] = ()  # paths that were not looked into: --ignore, --ignore-glob, collect_ignore
    skipped: dict[str, str] = {}  # files that gave no test when they were collected -> why
    deselected: tuple[str, ...] = ()  # node ids left out by -k, -m, --deselect
    unmeasured: dict[str, str] = {}  # node ids selected but not measured -> why (skipped, failed, ...)
    parts: tuple[Scope, ...] = ()  # of a merged run: what each shard covered; then all but `unmeasured` is empty
    options: tuple[str, ...] = ()  # of `Invocation`
    root: str = "."  # likewise

    @property
    def invocation(self) -> Invocation:
        """How to start pytest again; of shards, which differ in what they select, as the first."""
        first = self.parts[0] if self.parts else self
        return Invocation(options=first.options, paths=() if self.parts else first.paths, root=first.root)


class LaunchFigures(Record, frozen=True, kw_only=True):
    """Two fresh processes that measured a case in turns, base and head: what a verdict reads off their rounds."""

    before: Seconds  # a call took in the base, in its least disturbed rounds
    ratio: Annotated[float, Meta(gt=0, le=1e12)]  # head / base


class Beside(Record, frozen=True, kw_only=True):
    """What measuring suspects again told of them, beside one revision that a baseline was recorded at."""

    revision: str | None = None  # as the baseline's session has it
    same_code: tuple[Name, ...] = ()  # cases that use nothing which differs from the revision
    launches: dict[Name, tuple[LaunchFigures, ...]] = {}  # case -> in turns with the revision
    not_in_turns: dict[Name, str] = {}  # case -> why turns could not be taken
    unconfirmed: dict[MetricKind, dict[Name, str]] = {}  # case -> why nothing could be measured


class Confirmation(Record, frozen=True, kw_only=True):
    """How suspects were measured again, and what that took."""

    tests: Annotated[int, Meta(ge=0)]  # that were measured again
    seconds: Annotated[float, Meta(ge=0)]
    launches: Annotated[int, Meta(ge=0)] = 0  # pairs of fresh processes that took turns
    sessions: Annotated[int, Meta(ge=0)] = 0  # fresh sessions
    remarks: tuple[str, ...] = ()  # what a reader must know, a sentence each


class Run(Record, frozen=True, kw_only=True):
    """Everything one pytest invocation recorded."""

    environment: Environment
    sessions: tuple[Session, ...]
    scope: Scope = Scope()
    confirmation: Confirmation | None = None  # of suspects; their fresh sessions stand among the others
    beside: tuple[Beside, ...] = ()  # what the rest of it showed, by revision
    cases: tuple[Case, ...]


class Series(Record, frozen=True, kw_only=True, gc=False):  # a hundred thousand of them, and no cycle can form
    """One case in one accepted session."""

    session: Name
    count: Count  # samples the medians were taken from
    medians: Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=MEDIANS)]  # of blocks, in order
    peak_memory: Bytes | None = None
    energy: Joules | None = None
    state: Name | None = None  # a slow-down that the session ran in
    sm_clock: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None  # MHz: explains a figure


class Waiver(Record, frozen=True, kw_only=True):
    """A regression that is tolerated until a day."""

    until: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    reason: Name


class Accepted(Record, frozen=True, kw_only=True):
    """The accepted sessions of one case, oldest first."""

    id: Name
    test: Name
    parameters: dict[Name, str] = {}  # as its case has them
    items: Count
    clock: Name
    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=SESSIONS_KEPT)]
    margin: Fraction | None = None  # what these sessions can tell: a smaller change counts as unchanged
    waiver: Waiver | None = None
    profile: Profile | None = None  # of one session: the causes of a change are read off it


class Baseline(Record, frozen=True, kw_only=True):
    """The accepted sessions of each case on one kind of device."""

    provenance: Provenance
    source: str | None = None  # where published figures come from
    environment: Environment
    sessions: tuple[Session, ...]
    cases: tuple[Accepted, ...]


class Verdict(Record, frozen=True, kw_only=True):
    """What the evidence says of one figure of one case: ratios are now / before of a cost, above 1 is worse."""

    word: Word
    ratio: float
    low: float  # the 90 % interval of the ratio
    high: float
    reason: str  # one sentence
    before: float | None = None  # the cost that the ratio is of: seconds, bytes, joules
    margin: float | None = None  # "unchanged" means: less than this much slower (0.03: 3 %)
    detectable: float | None = None  # the smallest change this evidence could have detected (0.03: 3 %)
    basis: Basis = "baseline"
