"""The charts of a study: light and dark, PNG and SVG, of what is known."""

from __future__ import annotations

import pytest
from loads import a_text_point, a_text_study

pytest.importorskip("matplotlib")

from pytest_gpuperf.records.text_study import TextPoint
from pytest_gpuperf.reports.charts.study_charts import draw_charts

SLO = {"slo": {"ttft": 0.5, "tpot": 0.03}}


def good(at, rate=50.0, **changes):
    return a_text_point(at, rate, within=0.9, looked_at=300, **changes)


def names(charts):
    return [chart.picture.file for chart in charts]


def svg(charts, name):
    return next(chart.files[f"c/{name}.svg"].decode() for chart in charts if chart.picture.file == f"c/{name}.svg")


def test_each_chart_is_drawn_for_light_and_dark_pages():
    charts = draw_charts(
        [a_text_study(rounds=[[good(1), good(2)]] * 2, **SLO), a_text_study("vllm", [[good(1)]], **SLO)], "c"
    )
    assert names(charts) == ["c/ttft.svg", "c/tpot.svg", "c/throughput.svg", "c/goodput.svg"]
    for chart in charts:
        assert len(chart.files) == 4
        assert {content[:4] for file, content in chart.files.items() if file.endswith("png")} == {b"\x89PNG"}
        assert chart.picture.light != chart.picture.dark
        assert ">vllm<" in chart.picture.light.decode(), "a legend, since there are two"
    assert "limit 500 ms" in svg(charts, "ttft")
    assert "limit 30.0 ms" in svg(charts, "tpot")
    assert "within all limits" in svg(charts, "goodput")


def test_the_same_figures_give_the_same_files():
    assert draw_charts([a_text_study()], "c") == draw_charts([a_text_study()], "c")


def test_without_limits_or_token_counts_there_are_fewer():
    charts = draw_charts([a_text_study(rounds=[[a_text_point(1, generated_tokens=None, tpot=None)]])], "c")
    assert names(charts) == ["c/ttft.svg", "c/throughput.svg"]
    assert "Answers a second" in svg(charts, "throughput")
    assert "limit" not in svg(charts, "ttft")


def test_rates_say_that_waiting_counts():
    charts = draw_charts([a_text_study(rounds=[[a_text_point(0.5), a_text_point(2)]], sweep="rate")], "c")
    assert "from when a request was due" in svg(charts, "ttft")
    assert "requests a second due" in svg(charts, "ttft")
    assert "0.5 /s" in svg(charts, "ttft")


def test_figures_far_apart_have_a_logarithmic_axis():
    far = a_text_study(rounds=[[a_text_point(1, ttft=0.001), a_text_point(2, ttft=1.0)]])
    assert "vertical axis is logarithmic" in svg(draw_charts([far], "c"), "ttft")
    assert "logarithmic" not in svg(draw_charts([a_text_study()], "c"), "ttft")


def test_what_failed_is_no_point_of_a_line():
    study = a_text_study(rounds=[[a_text_point(1), TextPoint(at=2, failed="refused")]])
    gone = a_text_study("gone", [[TextPoint(at=1, failed="refused"), TextPoint(at=2, failed="refused")]])
    assert names(draw_charts([study, gone], "c")) == ["c/ttft.svg", "c/tpot.svg", "c/throughput.svg"]


def test_none_are_drawn_without_matplotlib(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert draw_charts([a_text_study()], "c") == []
