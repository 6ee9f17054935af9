"""What a language model showed, in the page and in the columns."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from loads import a_text_load
from verdicts import run_of

from pytest_gpuperf.records.generation import Generation
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.text_load import Late
from pytest_gpuperf.reports.csv_report import render_columns
from pytest_gpuperf.reports.html.page import Subject, page_of
from pytest_gpuperf.reports.text_facts import text_facts

A = "tests/test_x.py::test[a]"
FIRST, LATER = latency_of([0.02] * 100), latency_of([0.01] * 12)
GENERATION = Generation(
    model="text:phi-2",
    backend="eager",
    precision="fp32",
    batch=1,
    calls=12,
    prompt_tokens=384,
    generated_tokens=192,
    seconds=2.0,
    prefill=FIRST,
    ttft=FIRST,
    tpot=LATER,
    end_to_end=FIRST,
)


def facts(**known):
    return dict(text_facts(run_of(A, **known).cases[0].measurements[0]))


def columns(**known):
    (line,) = csv.DictReader(io.StringIO(render_columns(run_of(A, **known), None)))
    return line


def test_what_ran_here():
    assert facts(generation=GENERATION) == {
        "generated": "192 tokens, 96.0 /s",
        "with prompt tokens": "288 /s: no rate of generation",
        "to the first token": "mean 20.0 ms, p50 20.0 ms, p90 20.0 ms",
        "each token after it": "mean 10.0 ms, p50 10.0 ms",
        "whole answer": "mean 20.0 ms, p50 20.0 ms, p90 20.0 ms",
    }


def test_what_was_served():
    load = a_text_load()
    found = facts(text_load=load)
    assert found["server"] == "llama.cpp, tiny, chat; 4 answers at once"
    assert "between tokens" in found
    assert not found.keys() & {"prompts from the server's cache", "texts that came together"}
    late = Late(ttft=latency_of([0.5] * 11), end_to_end=FIRST)
    more = facts(
        text_load=msgspec.structs.replace(load, offered=2.5, from_schedule=late, cached_tokens=500, bundled=0.25)
    )
    assert more["server"].endswith("2.5 requests a second")
    assert more["to the first token, from when it was due"] == "mean 500 ms, p50 500 ms"
    assert more["prompts from the server's cache"] == "25%"
    assert more["texts that came together"] == "25%"


def test_tokens_that_are_not_known_are_left_out():
    found = facts(text_load=a_text_load(generated_tokens=None, tpot=None))
    assert not found.keys() & {"generated", "with prompt tokens", "each token after it"}
    assert facts() == {}


def test_the_page_has_them():
    page = page_of(Subject(run_of(A, generation=GENERATION)))
    assert ("generated", "192 tokens, 96.0 /s") in [(page.texts[name], fact) for name, fact in page.cases[0].facts]


def test_the_columns_have_them():
    line = columns(generation=GENERATION)
    assert (line["prompt_tokens"], line["generated_tokens"]) == ("384", "192")
    assert float(line["generated_tokens_per_s"]) == pytest.approx(96)
    assert float(line["total_tokens_per_s"]) == pytest.approx(288)
    assert float(line["ttft_mean_ms"]) == pytest.approx(20)
    assert float(line["tpot_mean_ms"]) == pytest.approx(10)
    served = columns(text_load=a_text_load(generated_tokens=None, tpot=None))
    assert (served["generated_tokens"], served["generated_tokens_per_s"], served["tpot_mean_ms"]) == ("", "", "")
    assert columns()["prompt_tokens"] == ""
