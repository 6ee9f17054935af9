"""A trace as one page: the answer, a timeline to zoom into, and the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from pytest_gpuperf.causes.kernels import Family, family
from pytest_gpuperf.records.trace_analysis import GapCause, Lane, Timeline, TraceAnalysis
from pytest_gpuperf.reports.html.rendering import asset, embedded, policy_of, require_jinja2, script_of, template
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.reports.trace_answer import WAITS, answer, remedies, title
from pytest_gpuperf.reports.trace_report import details

SCRIPTS = ("units.js", "elements.js", "axes.js", "theme.js", "timeline.js", "trace.js")
STEPS, IDLE, HOST = "steps", "idle", "host"  # lanes that are no streams, and whose they may be
_NANOSECONDS = 1e9
_COPIES = ("host to ", "device to ", "peer to ", "Memcpy", "fill", "Memset", "copy ")

# What the bars are, with their colours in the page's style.
_KINDS: Mapping[str, str] = {
    "product": "s0",
    "convolution": "s1",
    "attention": "s2",
    "norm, softmax": "s3",
    "copy": "s4",
    "fused": "s5",
    "elementwise, pool": "s6",
    "other": "s7",
    "host call": "dim",
    "step": "muted",
    **dict(
        zip(
            (f"idle: {cause}" for cause in get_args(GapCause)),
            ("regressed", "inconclusive", "waived", "s5", "improved", "s7"),
            strict=True,
        )
    ),
}
_BY_FAMILY: Mapping[Family, str] = {
    "norm": "norm, softmax",
    "softmax": "norm, softmax",
    "elementwise": "elementwise, pool",
    "pool": "elementwise, pool",
    "reorder": "copy",
}


class LaneOnPage(msgspec.Struct, frozen=True):
    """One lane. Moments are whole nanoseconds, each start since the end of the bar before: short to carry."""

    device: str
    name: str
    since: list[int]
    lasts: list[int]
    names: list[int]
    kinds: list[int]
    counts: list[int]


class TracePage(msgspec.Struct, frozen=True):
    """All that the timeline draws."""

    nanoseconds: int  # of the whole trace
    names: list[str]
    kinds: list[tuple[str, str]]  # with their colours
    waits: dict[GapCause, str]  # in words
    lanes: list[LaneOnPage]


def render_trace_html(analysis: TraceAnalysis, timeline: Timeline) -> str:
    """The whole document."""
    require_jinja2()
    style = asset("page.css")
    script = script_of(SCRIPTS)
    return template("trace.html.jinja").render(
        analysis=analysis,
        title=title(analysis),
        answers=answer(analysis),
        remedies=remedies(analysis),
        tables="\n".join(part.html() for part in details(analysis)),
        data=embedded(msgspec.json.encode(trace_page(analysis, timeline)).decode()),
        style=style,
        script=script,
        policy=policy_of(style, script),
    )


def trace_page(analysis: TraceAnalysis, timeline: Timeline) -> TracePage:
    """What the script gets."""
    places = {kind: place for place, kind in enumerate(_KINDS)}
    return TracePage(
        nanoseconds=max(1, round(analysis.seconds * _NANOSECONDS)),
        names=list(map(visible, timeline.names)),
        kinds=list(_KINDS.items()),
        waits=dict(WAITS),
        lanes=[_lane(lane, timeline.names, places) for lane in timeline.lanes if lane.starts],
    )


def _lane(lane: Lane, names: Sequence[str], places: Mapping[str, int]) -> LaneOnPage:
    starts = [round(start * _NANOSECONDS) for start in lane.starts]
    lasts = [round(length * _NANOSECONDS) for length in lane.seconds]
    ends = [0, *(start + length for start, length in zip(starts, lasts, strict=True))]
    kinds = {name: places[_kind(lane, names[name])] for name in set(lane.names)}
    return LaneOnPage(
        device=visible(lane.device),
        name=visible(lane.name),
        since=[start - end for start, end in zip(starts, ends, strict=False)],
        lasts=lasts,
        names=list(lane.names),
        kinds=[kinds[name] for name in lane.names],
        counts=list(lane.counts),
    )


def _kind(lane: Lane, name: str) -> str:
    if lane.name == STEPS:
        return "step"
    if lane.device == HOST:
        return "host call"
    if lane.name == IDLE:
        return f"idle: {name if name in get_args(GapCause) else 'unknown'}"
    if name.startswith(_COPIES):
        return "copy"
    found = family(name)
    return _BY_FAMILY.get(found, found)
