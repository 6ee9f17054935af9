"""The report as a reader meets it: opened from a disk, filtered, sorted, read, with or without a mouse."""

from __future__ import annotations

import re

import msgspec
import pytest
from page_suite import a_suite, written
from verdicts import comparison, finding, in_turns, run_of

from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.html.page import Subject
from pytest_gpuperf.reports.html.rendering import write_html

ROWS = "#table > tbody > tr.case"
NONE = "\u2013"
NAMES = f"{ROWS} button.name"
COLUMNS = ("Before", "Now", "Change")


def texts(page, selector):
    return [text.strip() for text in page.locator(selector).all_text_contents()]


def total(page):
    return int(page.locator("#table").get_attribute("aria-rowcount")) - 1


def scrolled_through(page):
    """To the end of the table: its last rows are made on the way."""
    page.evaluate("document.querySelector('.more').scrollIntoView()")
    page.locator(ROWS).nth(111).wait_for()


@pytest.fixture
def page(visit, report):
    return visit(report).page


def test_the_verdict_stands_first(page):
    assert page.locator("h1").text_content() == "6 of 110 compared cases regressed"
    assert page.locator(".state").text_content() == "failed"
    assert re.match(r"12\.\d% \[.*%, .*%\] slower", page.locator(".worst .loss").text_content())
    assert total(page) == 112
    assert page.locator(ROWS).count() == 100
    assert set(texts(page, f"{ROWS}.regressed .word")) == {"▲ regressed"}


def test_filter_by_text_word_and_parameter(page):
    page.keyboard.press("/")
    page.keyboard.type("RESNET50 cudagraph")
    assert total(page) == 4
    assert all("resnet50-fp16-cudagraph" in name for name in texts(page, NAMES))
    assert page.get_by_role("status").text_content() == "4 of 112 cases"
    page.keyboard.press("Escape")
    assert total(page) == 112
    page.get_by_role("button", name="6 regressed").click()
    page.get_by_role("button", name="improved").click()
    assert total(page) == 9
    page.get_by_label("precision", exact=True).select_option("autocast_fp16")
    assert 0 < total(page) < 9
    page.locator("#search").fill("nothing is called that")
    assert "No case matches" in page.locator("#table").text_content()
    page.get_by_role("button", name="Clear filters").click()
    assert total(page) == 112
    assert page.locator(".chip[aria-pressed=true]").count() == 0


def test_a_case_that_is_not_proven_can_be_found(page):
    page.get_by_role("button", name="unvalidated").click()
    assert total(page) == 3
    assert set(texts(page, f"{ROWS} td.at-device")) == {"! unvalidated"}
    page.locator(NAMES).first.click()
    assert "this result is unvalidated" in page.locator("tr.panel").text_content()
    assert "the processor waits for another process" in page.locator("tr.panel").text_content()


def seconds(text):
    number, unit = text.split(" ")
    return float(number) * {"s": 1, "ms": 1e-3, "us": 1e-6}[unit]


def test_sort_by_any_column_both_ways(page):
    head = page.get_by_role("columnheader", name="Now")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    shown = [seconds(t) for t in texts(page, f"{ROWS} td[data-title='Now']")]
    assert shown == sorted(shown, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator("[aria-sort]").count() == 1
    shown = [seconds(t) for t in texts(page, f"{ROWS} td[data-title='Now']")]
    assert shown == sorted(shown)
    page.get_by_role("columnheader", name="Case").get_by_role("button").click()
    names = texts(page, NAMES)
    assert names[0].startswith("test_model[convnext_tiny-autocast_fp16-eager-1]")
    assert names[1].startswith("test_model[convnext_tiny-autocast_fp16-eager-8]")  # numbers by size


def test_one_row_speaks_of_one_measurement(page):
    rows = zip(*(texts(page, f"{ROWS} td[data-title='{name}']") for name in ("Now", "Throughput")), strict=True)
    for now, rate in rows:
        number, unit = rate.split(" ")
        items = float(number) * {"/s": 1, "k/s": 1e3}[unit] * seconds(now)
        assert min(abs(items / batch - 1) for batch in (1, 8, 16, 32)) < 0.006, (now, rate)


def test_what_it_rests_on_is_said_in_words(visit, tmp_path):
    cases = "t.py::test_turns", "t.py::test_other", "t.py::test_machine"
    found = in_turns(cases[0], ratio=1.051), finding(cases[1], "environment"), finding(cases[2], "machine")
    judged = JudgedRun(run_of(*cases), comparison(*found))
    page = visit(write_html(tmp_path, Subject(run=judged.run, judged=judged))).page
    assert texts(page, ".chips .chip") == ["1 regressed", "1 environment", "1 machine"]
    page.locator(NAMES).first.click()
    said = page.locator("tr.panel").text_content()
    assert "5.1% [4.0%, 6.2%] slower" in said
    assert "3f2a91c, 5 launches in turns" in said
    assert page.locator("body").text_content().count("intervals: 90%") == 1


def test_before_and_now_give_the_change_beside_them(page):
    assert texts(page, "#table thead th")[:5] == ["Case", "Before", "Now", "Change", "Verdict ↑"]
    compared = 0
    for row in page.locator(ROWS).all():
        before, now, moved = (row.locator(f"td[data-title='{name}']").text_content() for name in COLUMNS)
        if before == NONE:
            assert moved == NONE
            continue
        percent = float(moved.split("%")[0])
        assert seconds(now) / seconds(before) == pytest.approx(1 + percent / 100, abs=0.0017), (before, now, moved)
        compared += 1
    assert compared > 90
    unchanged = set(texts(page, f"{ROWS}.unchanged td.at-verdict"))
    assert "= unchanged within 3%" in unchanged  # and further where a case is noisy
    assert all(re.fullmatch(r"= unchanged within \d+(\.\d)?%", said) for said in unchanged)


def test_what_was_not_measured_stands_last_either_way(page):
    head = page.get_by_role("columnheader", name="Change")
    for _ in range(2):
        head.get_by_role("button").click()
        scrolled_through(page)
        assert texts(page, f"{ROWS} td.at-change")[-2:] == [NONE, NONE]


def test_rows_grow_as_somebody_scrolls(page):
    scrolled_through(page)
    assert page.locator(".more button").first.is_hidden()


def test_a_case_opens_to_everything_that_is_known(page):
    first = page.locator(NAMES).first
    first.click()
    assert first.get_attribute("aria-expanded") == "true"
    panel = page.locator("tr.panel")
    assert texts(page, "tr.panel h4")[:3] == ["Why", "Verdict", "Distribution"]
    said = panel.text_content()
    for part in (
        "tolerance 1% of time per call, unchanged below 3%",
        "kernels ran in one call",
        "copy_ (contiguous)",
        "gpuperf calibrate",
    ):
        assert part in said
    assert panel.locator(".strip").count() == 8
    assert panel.locator(".strip.old circle").count() == 5 * 16
    assert panel.locator("rect.tolerance").count() == 1
    first.click()
    assert page.locator("tr.panel").count() == 0


def test_hovering_a_session_says_what_it_measured(page):
    page.locator(NAMES).first.click()
    tip = page.locator(".tip")
    assert tip.is_hidden()
    page.locator(".strip .reach").first.hover()
    assert tip.is_visible()
    assert re.search(r"Baseline session base0.* a call, .*% from the middle.*16 blocks", tip.text_content())
    page.mouse.move(0, 0)
    assert tip.is_hidden()


def test_hovering_a_point_and_a_mark(page):
    scrolled_through(page)
    page.locator("#charts g.s2 g.mark").first.hover()
    assert re.search(r"fp32 eager, batch 1.* to .*", page.locator(".tip").text_content())
    page.locator(".overview .case.regressed").first.hover()
    assert re.search(r"regressed: .*%\] slower", page.locator(".tip").text_content())


def test_a_mark_and_the_headline_lead_to_their_case(page):
    page.locator(".overview .case.improved").first.click()
    assert page.locator("tr.panel").count() == 1
    assert "▼ improved" in page.locator("tr.panel").text_content()
    page.locator("#search").fill("nothing is called that")
    name = page.locator(".worst a.case").text_content()
    page.locator(".worst a.case").click()
    assert name in texts(page, NAMES)[0]
    assert "▲ regressed" in texts(page, "tr.panel")[0]


def test_everything_without_a_mouse(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the cases"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "cases"
    page.keyboard.press("Tab")
    assert "regressed" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Space")
    assert total(page) == 6
    page.locator(NAMES).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    label = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(label).startswith("Baseline session base0")
    assert page.locator(".tip").is_visible()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(label).startswith("Baseline session base1")
    page.keyboard.press("End")
    assert page.evaluate(label).startswith("This run, session now2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    assert page.evaluate(label).startswith("Baseline session base0")
    page.keyboard.press("Escape")
    assert page.locator(".tip").is_hidden()


def test_charts_follow_the_filters_and_have_their_figures_as_tables(page):
    titles = texts(page, "#charts h3")
    assert len(titles) == 4
    page.get_by_role("button", name="Draw 3 more").click()
    assert len(texts(page, "#charts h3")) == 7
    page.get_by_label("model", exact=True).select_option("swin_t")
    assert texts(page, "#charts h3") == ["swin_t"]
    assert [t.split(",")[0] for t in texts(page, "#charts figcaption")] == ["Latency", "Throughput"]
    assert texts(page, "#charts table >> nth=0 >> tbody th") == ["1", "8", "16", "32"]
    page.get_by_role("button", name="Memory and energy").click()
    assert [t.split(",")[0] for t in texts(page, "#charts figcaption")] == ["Peak memory", "Energy"]
    page.get_by_label("batch", exact=True).select_option("8")
    page.get_by_role("button", name="Latency and throughput").click()
    assert page.locator("#charts .bar").count() == 8  # one batch: bars


def test_the_theme_follows_the_system_until_it_is_chosen(visit, report):
    background = "getComputedStyle(document.body).backgroundColor"
    page = visit(report, scheme="dark").page
    assert page.evaluate(background) == "rgb(15, 19, 23)"
    button = page.get_by_role("button", name="Use the light theme")
    button.click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.reload()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.evaluate("localStorage.clear()")
    page.reload()
    assert page.evaluate(background) == "rgb(15, 19, 23)"


def test_a_run_that_nobody_judged_has_no_verdicts(visit, tmp_path):
    run, _ = a_suite(40)
    page = visit(written(tmp_path, run)).page
    assert total(page) == 40
    assert texts(page, "#table thead th")[0].startswith("Case")
    assert texts(page, ".chips .chip") == ["1 unvalidated"]
    assert page.locator(".overview").count() == 0
    page.locator(NAMES).first.click()
    assert texts(page, "tr.panel h4")[:2] == ["Distribution", "Figures"]
    assert "Change from its middle" in page.locator("tr.panel").text_content()


def test_an_empty_run_is_a_page_too(visit, tmp_path):
    run, baseline = a_suite(2)
    page = visit(written(tmp_path, msgspec.structs.replace(run, cases=()), baseline)).page
    assert page.locator("h1").text_content() == "Nothing was compared"
    assert texts(page, "h2") == ["Cases", "Not measured", "Sessions", "Words"]
