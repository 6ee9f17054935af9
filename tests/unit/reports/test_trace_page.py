"""A trace's page: one file, the answer readable without a script, and the timeline's bars as they were."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import accumulate

import msgspec
import pytest
from analyses import GEMM, RELU, a_device, a_timeline, an_analysis

from pytest_gpuperf.records.trace_analysis import Timeline
from pytest_gpuperf.reports.html.rendering import hashed
from pytest_gpuperf.reports.html.trace_page import render_trace_html, trace_page
from pytest_gpuperf.reports.palette import THEMES, contrast, palette

EVIL = "</script><img src=x onerror=alert(1)>\u202e"


def data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_answer_the_remedy_and_the_tables_need_no_script():
    page = unescape(render_trace_html(an_analysis(notes=("it ends too early",)), a_timeline()))
    assert "<h1>cuda:0 was idle 30% of 1.00 s: 200 ms waiting for the host</h1>" in page
    assert "10.0 ms for other causes.</li>" in page
    assert "CUDA graphs" in page
    assert "<li>it ends too early</li>" in page
    assert f"<td>{GEMM}</td>" in page


def test_a_page_of_nothing_is_a_page():
    page = render_trace_html(an_analysis(devices=(), steps=()), Timeline(names=(), lanes=()))
    assert "Whether a device was idle is unknown</h1>" in page
    assert data(page)["lanes"] == []


def test_nothing_runs_but_the_page_s_own_script():
    page = render_trace_html(an_analysis(), a_timeline())
    policy = unescape(re.search(r'Content-Security-Policy" content="(.*?)"', page)[1])
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    assert f"script-src {hashed(script)};" in policy
    assert "innerHTML" not in script
    assert "default-src 'none'" in policy


def test_bars_stand_where_they_stood():
    timeline = a_timeline()
    page = trace_page(an_analysis(seconds=1.2), timeline)
    assert page.nanoseconds == 1_200_000_000
    assert [lane.name for lane in page.lanes] == ["steps", "stream 7", "stream 13", "idle"], "an empty lane is left out"
    for shown, lane in zip(page.lanes, timeline.lanes, strict=False):
        between = [part for pair in zip(shown.since, shown.lasts, strict=True) for part in pair]
        starts = list(accumulate(between))[::2]
        assert starts == [round(start * 1e9) for start in lane.starts]
        assert shown.lasts == [round(length * 1e9) for length in lane.seconds]
        assert (shown.names, shown.counts) == (list(lane.names), list(lane.counts))


def test_bars_have_the_colour_of_their_kind():
    timeline = a_timeline(names=(GEMM, RELU, "host to device", "host", "something else", "ProfilerStep#0"))
    page = trace_page(an_analysis(), timeline)
    kinds = {lane.name: [page.kinds[kind] for kind in lane.kinds] for lane in page.lanes}
    assert kinds["stream 7"][:2] == [("product", "s0"), ("elementwise, pool", "s6")]
    assert set(kinds["stream 13"]) == {("copy", "s4")}
    assert kinds["steps"] == [("step", "muted")]
    assert kinds["idle"] == [("idle: host", "regressed"), ("idle: unknown", "s7")]


def test_what_the_host_called_is_no_kernel():
    timeline = a_timeline()
    lanes = tuple(msgspec.structs.replace(lane, device="host") for lane in timeline.lanes)
    page = trace_page(an_analysis(), msgspec.structs.replace(timeline, lanes=lanes))
    assert {page.kinds[kind][0] for lane in page.lanes[1:] for kind in lane.kinds} == {"host call"}
    assert page.kinds[page.lanes[0].kinds[0]][0] == "step"


@pytest.mark.parametrize("theme", THEMES)
def test_names_on_bars_can_be_read(theme):
    colours = palette(theme)
    tones = {tone for _, tone in trace_page(an_analysis(), a_timeline()).kinds}
    assert {tone for tone in tones if contrast(colours[tone], colours["page"]) < 4.5} <= {"dim"}


def test_a_name_is_never_markup():
    evil = an_analysis(a_device(EVIL), file=EVIL, notes=(EVIL,))
    names = (EVIL, *a_timeline().names[1:])
    timeline = a_timeline(names)
    lanes = tuple(msgspec.structs.replace(lane, device=EVIL) for lane in timeline.lanes)
    page = render_trace_html(evil, msgspec.structs.replace(timeline, lanes=lanes))
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert page.count("</script>") == 2
    assert data(page)["names"][0] == EVIL.replace("\u202e", "\\u202e")
