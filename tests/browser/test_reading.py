"""Readable by everybody: contrast computed of what is drawn, names for every control, nothing wider than the screen."""

from __future__ import annotations

import pytest

WIDTHS = (1280, 390)

# Every text with the colours it is really drawn in, its transparent backgrounds laid over those below them.
CONTRASTS = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(element.tagName)) continue;
    if (!element.getClientRects().length) continue;
    const backgrounds = [];
    for (let at = element; at; at = at.parentElement) backgrounds.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(element);
    const ink = element.namespaceURI.endsWith('svg') ? style.fill : style.color;
    const [a, b] = [light(over(backgrounds)), light(over([...backgrounds, ink]))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walk.currentNode.data.trim().slice(0, 40), ink]);
  }
  return found;
}
"""

# What a screen reader would have nothing to say of.
NAMELESS = """
() => [...document.querySelectorAll('button, a, select, input, svg[role], [role=img], [tabindex="0"], summary')]
  .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_text_stands_out(visit, report, scheme, width):
    # Without transitions: half way from one colour to another, nothing stands out.
    page = visit(report, width=width, scheme=scheme, reduced_motion="reduce").page
    page.evaluate("for (const b of [...document.querySelectorAll('button.name')].slice(0, 12)) b.click()")
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    page.locator(".chip").first.click()
    page.locator("#charts g.mark").first.hover()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 500
    assert [f for f in found if f[0] < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_control_has_a_name_and_tables_are_tables(visit, report):
    for width in WIDTHS:  # on a phone a row is drawn as a card, and stays a row
        page = visit(report, width=width).page
        page.locator("#table button.name").first.click()
        assert page.evaluate(NAMELESS) == []
        assert page.get_by_role("table", name="Cases").count() == 1
        assert page.get_by_role("columnheader", name="Throughput").count() == 1
        assert page.get_by_role("row").count() > 100
        assert page.get_by_role("main").count() == 1
        assert page.locator("h1").count() == 1
        assert page.locator("[id]").count() == len(
            set(page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)"))
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen(visit, report, scheme):
    page = visit(report, scheme=scheme).page
    outline = (
        "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth; })()"
    )
    for selector in (".chip", "#search", "select", "#table button.name", "thead button", "#theme"):
        page.locator(selector).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert page.evaluate(outline) == "solid2px", selector


def test_nothing_moves_where_the_reader_asks_for_less(visit, report):
    page = visit(report, reduced_motion="reduce").page
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s').length"
    assert page.evaluate(moving) == 0


def test_the_verdict_is_read_without_a_script(chromium, report):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("h1").text_content() == "6 of 110 compared cases regressed"
    assert page.locator(".losses li").count() == 5
    assert "need JavaScript" in page.locator("body").inner_text()
    context.close()
