"""A pipeline's stages, in the terminal, the page and the columns."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from verdicts import run_of

from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.pipeline import PipelineFigures, QueueFigures, StageFigures
from pytest_gpuperf.reports.csv_report import render_columns
from pytest_gpuperf.reports.html.page import Subject, page_of
from pytest_gpuperf.reports.junit import measured_properties
from pytest_gpuperf.reports.pipeline_report import render_pipelines
from pytest_gpuperf.reports.show import run_contents

A, B = "tests/test_x.py::test[a]", "tests/test_x.py::test[b]"
QUEUE = QueueFigures(capacity=2, mean=1.9, full=0.9, empty=0.0)


def a_stage(name, busy, queue=QUEUE):
    return StageFigures(
        name=name,
        where="thread",
        workers=2,
        busy=busy,
        alone=busy / 2,
        cpu=busy,
        busy_share=0.8,
        input_share=0.15,
        room_share=0.05,
        queue=queue,
    )


FIGURES = PipelineFigures(
    overlap=True,
    depth=2,
    batch=8,
    source=a_stage("source", 0.001, None),
    stages=(a_stage("decode", 0.018), a_stage("inference", 0.006)),
    items=100,
    seconds=1.0,
    excluded=0.1,
    passes=1,
    latency=latency_of([0.05] * 100),
    cores=2,
    cpu=0.01,
    ended="steady",
    bottleneck="decode",
    reason="decode is busy for 90% of the time",
)
ALONE = msgspec.structs.replace(FIGURES, overlap=False, seconds=4.0)


def run(*figures):
    """A run whose cases showed these."""
    names = [A, B, *(f"tests/test_x.py::test[{n}]" for n in range(9))][: len(figures)]
    whole = run_of(*names)
    cases = [
        msgspec.structs.replace(case, measurements=(msgspec.structs.replace(case.measurements[0], pipeline=found),))
        for case, found in zip(whole.cases, figures, strict=True)
    ]
    return msgspec.structs.replace(whole, cases=tuple(cases))


def test_the_stages_of_one_pipeline_stand_below_each_other():
    assert render_pipelines(run(FIGURES), 100) == (
        "pipeline tests/test_x.py::test[a]\n"
        "  800 /s, 90% of what decode allows, limited by decode\n"
        "stage      where      an item    alone  works  no item  no room     queue\n"
        "source     2 threads  1.00 ms   500 us    80%      15%       5%         -\n"
        "decode     2 threads  18.0 ms  9.00 ms    80%      15%       5%  1.9 of 2\n"
        "inference  2 threads  6.00 ms  3.00 ms    80%      15%       5%  1.9 of 2\n"
        "why: decode is busy for 90% of the time"
    )


def test_several_are_compared_first():
    text = render_pipelines(run(FIGURES, ALONE), 100)
    lines = [line.split() for line in text.splitlines()]
    assert ["[a]", "800", "/s", "90%", "x1.25", "50.0", "ms", "decode"] in lines
    assert ["[b]", "200", "/s", "22%", "x0.312", "50.0", "ms", "decode"] in lines
    assert text.count("why: ") == 2
    assert "limited by decode; nothing overlaps" in text


def test_of_many_the_stages_stand_in_the_page_alone():
    text = render_pipelines(run(*[FIGURES] * 4), 100)
    assert text.count("x1.25") == 4
    assert "why: " not in text
    assert text.endswith("The stages of each: --gpuperf-html FILE")


def test_a_run_without_pipelines_has_nothing_to_show():
    assert render_pipelines(run(None), 100) == ""
    assert not run_contents("run.json", run(None), 100).endswith("\n")


def test_show_has_them_too():
    assert run_contents("run.json", run(FIGURES), 100).endswith("why: decode is busy for 90% of the time")


def test_the_page_has_a_fact_for_each_stage():
    page = page_of(Subject(run=run(FIGURES)))
    facts = {page.texts[name]: fact for name, fact in page.cases[0].facts}
    assert facts["pipeline"] == "800 /s, 90% of what decode allows, limited by decode"
    assert facts["beside one stage after the other"] == "1.25 times as fast"
    assert facts["from the source to the end"] == "50.0 ms, the mean item"
    assert facts["stage decode"] == (
        "2 threads, 18.0 ms an item (9.00 ms alone), works 80% of the time, waits for items 15%, for room 5%; "
        "queue before it 1.9 of 2"
    )


def test_the_columns_say_what_limits_it():
    one, other = csv.DictReader(io.StringIO(render_columns(run(FIGURES, None), None)))
    assert (one["bottleneck"], float(one["pipeline_efficiency"])) == ("decode", pytest.approx(0.9))
    assert (other["bottleneck"], other["pipeline_efficiency"]) == ("", "")


def test_junit_too():
    (case,) = run(FIGURES).cases
    properties = dict(measured_properties(case, "a card"))
    assert properties["gpuperf.bottleneck"] == "decode"
    assert properties["gpuperf.efficiency"] == "0.9"
