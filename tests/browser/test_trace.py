"""A trace's timeline in a browser: zoomed, moved and read, with a mouse and without."""

from __future__ import annotations

import pytest
from analyses import GEMM, RELU, UPLOAD, a_device, a_timeline, an_analysis

from pytest_gpuperf.records.trace_analysis import Timeline
from pytest_gpuperf.reports.html.trace_page import render_trace_html

WHOLE = 1_200_000_000  # nanoseconds
GUTTER = """() => {
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return 16 + Math.max(...['steps', 'stream 7', 'stream 13', 'idle'].map((name) => pen.measureText(name).width));
}"""
INKED = """() => {
  const all = document.querySelector('canvas.timeline');
  const copy = Object.assign(document.createElement('canvas'), { width: all.width, height: all.height });
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(all, 0, 0);
  const { data } = pen.getImageData(0, 0, all.width, all.height);
  const found = new Set();
  for (let i = 0; i < data.length; i += 4) found.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
  return [...found];
}"""
NAMES = (GEMM, RELU, UPLOAD, "host", "data", "<img src=x onerror=alert(1)>")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.html"
    path.write_text(render_trace_html(an_analysis(), a_timeline(NAMES)), encoding="utf-8")
    return path


@pytest.fixture
def page(visit, file):
    return visit(file).page


def shown(page):
    """The part of the trace in sight, once it is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    canvas = page.locator("canvas.timeline")
    return int(canvas.get_attribute("data-from")), int(canvas.get_attribute("data-to"))


def at(page, seconds, lane):
    """Where a moment of a lane stands on the page, at the scale of the whole trace."""
    canvas = page.locator("canvas.timeline")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    gutter = page.evaluate(GUTTER)
    x = box["x"] + gutter + seconds * 1e9 / WHOLE * (box["width"] - gutter)
    return x, box["y"] + 22 + lane * 30 + 12


def test_buttons_zoom_and_move(page):
    assert shown(page) == (0, WHOLE)
    press = lambda name: page.get_by_role("button", name=name, exact=True).click()  # noqa: E731
    press("Zoom in")
    assert shown(page) == (WHOLE // 4, WHOLE * 3 // 4)
    press("Earlier")
    assert shown(page) == (WHOLE // 8, WHOLE * 5 // 8)
    press("Later")
    press("Later")
    press("Later")
    press("Later")
    assert shown(page) == (WHOLE // 2, WHOLE), "the view stays within the trace"
    press("Zoom out")
    assert shown(page) == (0, WHOLE)
    press("Longest gap")
    assert shown(page) == (700_000_000, 1_000_000_000)
    assert page.get_by_role("status").text_content().startswith("idle: waiting for data; 100 ms from 800 ms")
    press("Whole trace")
    assert shown(page) == (0, WHOLE)
    assert page.locator(".sight").text_content() == "0 s to 1.2 s of 1.2 s"


def test_the_wheel_zooms_where_it_points_once_the_timeline_is_meant(page):
    page.mouse.move(*at(page, 0.6, 1))
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, 120)
    assert shown(page) == (0, WHOLE), "else the page could not be scrolled past it"
    page.evaluate(f"scrollTo(0, {before})")
    page.mouse.move(*at(page, 0.3, 1))
    page.mouse.click(*at(page, 0.3, 1))
    page.mouse.wheel(0, -300)
    start, end = shown(page)
    assert end - start < WHOLE
    assert (0.3e9 - start) / (end - start) == pytest.approx(0.25, abs=0.01), "what is pointed at stays where it is"
    page.mouse.wheel(300, 0)
    moved = shown(page)
    assert moved[0] > start
    assert moved[1] - moved[0] == pytest.approx(end - start, abs=2)


def test_dragging_moves_and_a_click_selects(page):
    page.get_by_role("button", name="Zoom in").click()
    start, end = shown(page)
    x, y = at(page, 0.6, 2)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    moved = shown(page)
    assert moved[0] < start
    assert moved[1] - moved[0] == end - start
    assert page.get_by_role("status").text_content() == ""
    page.get_by_role("button", name="Whole trace").click()
    page.mouse.click(*at(page, 0.3, 1))
    assert (
        page.get_by_role("status").text_content() == f"{RELU}; elementwise, pool; 200 ms from 250 ms; cuda:0, stream 7"
    )


def test_a_bar_says_what_it_is_where_the_pointer_is(page):
    page.mouse.move(*at(page, 0.1, 1))
    assert page.locator(".tip").inner_text().splitlines()[0] == GEMM
    page.mouse.move(*at(page, 0.225, 3))
    assert page.locator(".tip").inner_text().splitlines()[0] == "idle: waiting for the host"
    page.mouse.move(*at(page, 0.9, 1))
    assert "12 things this close together" in page.locator(".tip").inner_text()
    page.mouse.move(*at(page, 1.1, 1))
    assert page.locator(".tip").is_hidden()


def test_every_bar_is_reached_and_named_by_keys(page):
    page.locator("canvas.timeline").focus()
    status = page.get_by_role("status")
    names = []
    for key in ("ArrowRight", "ArrowDown", "End", "Home", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        names.append(status.text_content().split("; ")[0])
    assert names == [NAMES[5], RELU, RELU, GEMM, RELU, UPLOAD, GEMM, RELU]
    page.keyboard.press("Enter")
    assert shown(page) == (50_000_000, 650_000_000), "the bar stands in the middle third"
    page.keyboard.press("+")
    assert shown(page)[1] - shown(page)[0] == 300_000_000
    page.keyboard.press("Shift+ArrowRight")
    assert shown(page)[0] > 0
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert shown(page) == (0, WHOLE)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_and_follows_the_theme(visit, file, width, scheme):
    page = visit(file, width=width, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("canvas.timeline").bounding_box()["width"] <= width
    assert page.locator("main img").count() == 0
    product = {"light": "11,92,171", "dark": "121,184,255"}
    assert product[scheme] in page.evaluate(INKED)
    page.locator("#theme").click()
    shown(page)
    other = "dark" if scheme == "light" else "light"
    assert product[other] in page.evaluate(INKED)


def test_a_page_without_a_timeline_is_silent(visit, tmp_path):
    path = tmp_path / "empty.html"
    empty = an_analysis(a_device(), steps=())
    path.write_text(render_trace_html(empty, Timeline(names=(), lanes=())), encoding="utf-8")
    assert visit(path).page.locator("canvas").count() == 0
