"""The figures of a row give the change beside them, in every report: whatever the metric, + is worse."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import comparison, finding, run_of, verdict

from pytest_gpuperf.analysis.findings import Finding
from pytest_gpuperf.reports.columns import render_columns
from pytest_gpuperf.reports.figures import both_changes
from pytest_gpuperf.reports.html.page import page_of
from pytest_gpuperf.reports.html.subject import Subject
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.junit import judged_properties
from pytest_gpuperf.reports.markdown import render_markdown
from pytest_gpuperf.reports.terminal import render_table
from pytest_gpuperf.results.units import METRICS

CASE = "test"
UNITS = {"/s": 1, "k/s": 1e3, "M/s": 1e6, "G/s": 1e9, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
UNITS |= {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "J/item": 1}
SIZES = {
    "throughput": st.floats(1e-3, 1e9),
    "device_time": st.floats(1e-7, 1e3),
    "peak_memory": st.floats(1e4, 1e11),
    "energy": st.floats(1e-6, 1e3),
}
FIGURE = r"([\d.]+(?:e-\d+)?) ([kMG]?/s|[mun]?s|[KMG]?i?B|J/item)"
CHANGE = r"(?:x([\d.]+)|([+-][\d.]+)%)"


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """A change of any size, of any metric, in any direction."""
    metric = draw(st.sampled_from(list(SIZES)))
    ratio = draw(st.floats(0.2, 0.999) | st.floats(0.95, 1.08) | st.floats(1.001, 5))
    before, word = draw(SIZES[metric]), "regressed" if ratio > 1 else "improved"
    now = before / ratio if METRICS[metric].higher_is_better else before * ratio
    return finding(CASE, word, metric=metric, baseline=before, current=now, verdict=verdict(word, ratio))


def in_terminal(found: Finding) -> str:
    return next(line for line in render_table(comparison(found), run_of(CASE), 200).split("\n") if " [" in line)


def in_markdown(found: Finding) -> str:
    text = render_markdown(Judged(run_of(CASE), comparison(found)))
    row = next(line for line in text.split("\n") if line.startswith(f"| <code>{CASE}</code> |"))
    return re.sub(r"&#(\d+);", lambda entity: chr(int(entity[1])), row)


def cost(found: Finding, before: float, now: float) -> float:
    """The ratio that two figures give, of what they cost."""
    return before / now if METRICS[found.metric].higher_is_better else now / before


@pytest.mark.parametrize("row_in", [in_terminal, in_markdown])
@given(found=findings())
def test_a_row_s_figures_give_its_change(row_in: Callable[[Finding], str], found: Finding) -> None:
    row = row_in(found)
    (before, now), (times, percent) = re.findall(FIGURE, row), re.findall(CHANGE, row)[0]
    given_by_figures = cost(found, *(float(number) * UNITS[unit] for number, unit in (before, now)))
    shown = float(times) if times else 1 + float(percent) / 100
    rounding = 0.005 * shown if times else 0.0005  # three digits of a factor, a tenth of a percent
    rounding += 0.001 * shown  # four digits of two figures
    assert given_by_figures == pytest.approx(shown, abs=rounding * 1.01)
    assert (shown > 1) == (found.verdict.ratio > 1) or abs(found.verdict.ratio - 1) < 0.0005


@given(found=findings())
def test_machines_read_the_same(found: Finding) -> None:
    if found.evidence == "time":
        (line,) = csv.DictReader(io.StringIO(render_columns(run_of(CASE), comparison(found))))
        assert float(line["ratio"]) == pytest.approx(
            cost(found, float(line["baseline"]), float(line["current"])), rel=1e-5
        )
    (ratio,) = (float(text) for name, text in judged_properties([found]) if name.endswith(".ratio"))
    ((judged,),) = (
        case.judged for case in page_of(Subject(run_of(CASE), Judged(run_of(CASE), comparison(found)))).cases
    )
    assert ratio == pytest.approx(cost(found, judged.before, judged.now), rel=1e-5)
    assert judged.ratio == pytest.approx(found.verdict.ratio, rel=1e-6)


@given(found=findings())
def test_words_and_columns_say_one_thing(found: Finding) -> None:
    words, columns = both_changes(found), in_terminal(found)
    worse = re.search(r"slower|more memory|more energy|times as (slow|much)", words)
    assert bool(worse) == (found.verdict.ratio >= 1)
    (percent,) = re.findall(r"^([\d.]+)%", words) or [""]
    if percent:
        assert f"{'+' if worse else '-'}{percent}% [" in columns
