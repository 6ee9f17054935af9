"""The data of the page's script: figures and plain text, never markup; the script knows the units and shows them.

A field that has its default is left out, and so is most of what two thousand cases would otherwise repeat.
"""

from __future__ import annotations

from msgspec import Struct

SCALE = 10_000  # a block is kept as parts in ten thousand of its case's middle: 0.01 % is finer than any clock here


Text = int  # of the page's texts: what many cases repeat is kept once


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything on the page."""


class Header(Content, frozen=True, kw_only=True):
    """One session that measured, of this run or of the baseline."""

    id: str
    time: str
    revision: str | None = None
    card: str | None = None
    baseline: bool = False


class Judgement(Struct, frozen=True, kw_only=True, array_like=True):
    """The verdict on one figure, as the page's `judgement` names its parts. Ratios are of a cost: above 1 is worse."""

    metric: str
    word: str
    before: float
    now: float
    ratio: float
    low: float | None  # None: too little evidence for an interval
    high: float | None
    tolerance: float  # of the cost: the smallest change that counts at all
    margin: float | None  # of the cost: below it is unchanged; None: nothing can be
    costs: tuple[float, float]  # before and now: seconds a call, bytes, joules an item
    reason: str
    sessions: tuple[int, int]  # of the baseline, of this run
    detectable: float | None = None
    waived: str | None = None
    turns: str | None = None  # what it took turns with, where that decided


class Percentiles(Content, frozen=True, kw_only=True):
    """Single calls by the host's clock, over the case's sessions."""

    mean: float
    count: int
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class Proof(Content, frozen=True, kw_only=True):
    """What shows which device did the work."""

    verdict: str
    witnesses: tuple[tuple[Text, Text, str], ...] = ()  # name, rating, figure
    diagnosis: str | None = None


class Ran(Content, frozen=True, kw_only=True):
    """What one untimed call ran. Where the case changed: in the baseline too."""

    unit: str
    context: tuple[str, ...] = ()
    kernels: tuple[tuple[Text | str, ...], ...] = ()  # the cells of `header`, the name as a Text
    header: tuple[str, ...]


class Entry(Content, frozen=True, kw_only=True):
    """One case."""

    id: str
    function: Text  # the test without its parameters: what charts group by
    word: str  # the gravest of its verdicts
    items: int
    clock: Text
    time: float  # seconds a call, median
    range: tuple[float, float]  # lowest to highest session, each with its median's 95 % interval
    throughput: float
    rates: tuple[float, float]  # likewise
    rate_clock: Text
    sessions: int
    middle: float  # what the strips' figures are relative to
    strips: tuple[
        tuple[int, ...], ...
    ]  # a session's place on the page, then its block medians: (s / middle - 1) * SCALE
    parameters: tuple[Text | None, ...]  # in the page's order
    line: int | None = None
    judged: tuple[Judgement, ...] = ()
    latency: Percentiles | None = None
    memory: float | None = None
    energy: float | None = None
    facts: tuple[tuple[Text, str], ...] = ()
    notes: tuple[Text, ...] = ()
    proof: Proof | None = None
    causes: tuple[str, ...] = ()
    ran: Ran | None = None
    accept: str | None = None  # the command that accepts what regressed


class Page(Content, frozen=True, kw_only=True, omit_defaults=False):
    """Everything the script shows."""

    cases: tuple[Entry, ...]
    sessions: tuple[Header, ...]
    parameters: tuple[str, ...]  # in the order people say them
    texts: tuple[str, ...]
    judgement: tuple[str, ...] = Judgement.__struct_fields__
    absent: dict[str, str] = {}  # tests and cases without a figure -> why
    compared: bool = False
    scale: int = SCALE
