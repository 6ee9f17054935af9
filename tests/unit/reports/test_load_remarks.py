"""What is said of a load: each doubt is a sentence with its figures."""

from __future__ import annotations

import pytest
from loads import a_load, a_text_load

from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.served_load import Client, RoundTrip
from pytest_gpuperf.reports.load_report import doubts, remarks, text_remarks

LATE = Client(processes=1, busy=0.1, late=0.2, seconds=0.0)
BUSY = Client(processes=1, busy=0.7, seconds=0.0)
HELD = Client(processes=1, busy=0.1, held=0.9, seconds=0.0)
FAR = RoundTrip(median=0.004, low=0.004, count=31, asked="/v2/health/live")


def test_a_load_that_is_what_it_seems_shows_its_batching():
    assert list(doubts(a_load())) == []
    assert remarks(a_load()) == ["dynamic batching works: 4.00 items ran together, 1 a request"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"verdict": "inconclusive"}, "inconclusive: no three windows in a row agreed within 10%"),
        ({"client": LATE}, "client-limited: the load generator could not keep up (20% late"),
        ({"client": BUSY}, "client-limited: the load generator could not keep up (70% of its time busy"),
        ({"round_trip": FAR}, "network: the round trip to the server (4.00 ms, measured on /v2/health/live) is 80%"),
        ({"errors": {"status": 3, "timeout": 1}}, "errors: status 3, timeout 1; rate and latency are of the 699 good"),
    ],
)
def test_each_doubt_is_told(changes, told):
    (said,) = doubts(a_load(**changes))
    assert said.startswith(told)


def test_more_than_a_server_can_do_grows_without_end():
    load = a_load(verdict="inconclusive", client=HELD, growth=0.2, offered=4000.0)
    (said,) = doubts(load)
    assert said.startswith("overloaded: 4000 /s were due and 3195 /s answered")
    assert "grows by 200 ms every second, without end" in said


def test_no_p99_without_enough_answers_and_what_would_do():
    said = remarks(a_load(latency=latency_of([0.1] * 200)))
    assert said[0] == "no p99: it needs 662 answers and has 200 (requests=221 would do)"


def test_batching_that_is_not_seen_is_told():
    assert remarks(a_load(mean_batch=1.0)) == ["no dynamic batching seen: 1.00 items ran together, 1 a request"]


@pytest.mark.parametrize("changes", [{"mean_batch": None}, {"concurrency": 1}])
def test_of_batching_that_cannot_be_nothing_is_said(changes):
    assert remarks(a_load(**changes)) == []


def test_a_load_of_text_that_is_what_it_seems_has_no_p99_only():
    assert text_remarks(a_text_load()) == ["no p99: it needs 662 answers and has 100 (requests=221 would do)"]


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"verdict": "inconclusive"}, "inconclusive: no three windows in a row agreed within 10%"),
        ({"client": BUSY}, "client-limited: the load generator could not keep up (70% of its time busy"),
        ({"errors": {"error event": 2}}, "errors: error event 2; rate and latency are of the 100 good answers alone"),
        ({"notes": ("error event: out of memory",)}, "error event: out of memory"),
        ({"dropped": ("ignore_eos was refused",)}, "ignore_eos was refused"),
        ({"repeated": 0.5}, "prompts repeat: 50% of the requests sent one that had been sent before, so the server's"),
        ({"repeated": 0.5, "cached_tokens": 1500}, "prompts repeat: 50% of the requests sent one that had"),
        ({"cached_tokens": 1500}, "cached: 75% of the prompts' tokens came from the server's cache of prefixes"),
        ({"bundled": 0.4}, "bundled: 40% of the pieces of text came together with the one before"),
        ({"streams_left_out": 60}, "60 of 100 streams are not kept: figures of other tools are of the rest"),
    ],
)
def test_each_doubt_of_a_load_of_text_is_a_sentence(changes, remark):
    found, limits = text_remarks(a_text_load(**changes))
    assert found.startswith(remark)
    assert limits.startswith("no p99")


def test_how_much_a_cache_answered_is_said_where_it_is_known():
    assert "(how much, it does not say)" in text_remarks(a_text_load(repeated=0.5))[0]
    assert "(75% of their tokens, it says)" in text_remarks(a_text_load(repeated=0.5, cached_tokens=1500))[0]
    assert len(text_remarks(a_text_load(cached_tokens=100))) == 1, "a chat's template is in every prompt"
