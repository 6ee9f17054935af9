"""A study as text, as Markdown and as a page: the same facts, and nothing in them is markup."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec
import pytest
from loads import a_load, a_study

from pytest_gpuperf.records.served_load import RoundTrip
from pytest_gpuperf.records.study import Visit
from pytest_gpuperf.reports.document import Heading, as_html, as_markdown, as_text
from pytest_gpuperf.reports.study_report import document

FAST = (0.0025, 0.0026, 0.0024)
HOSTILE = "torch<script>alert(1)</script>|x\x1b[31m"


def shown(*studies, width=160):
    return as_text(document(studies), width)


def changed(study, **changes):
    """The same with every load changed."""
    rounds = tuple(
        msgspec.structs.replace(
            r,
            visits=tuple(msgspec.structs.replace(v, load=msgspec.structs.replace(v.load, **changes)) for v in r.visits),
        )
        for r in study.rounds
    )
    return msgspec.structs.replace(study, rounds=rounds)


def test_the_first_lines_say_what_to_do():
    text = shown(a_study("torch"), a_study("triton-onnx", FAST))
    assert "Recommended: triton-onnx, with 2.00x [" in text
    assert "One request at a time: triton-onnx answers first, 2.00x [" in text
    assert "Dynamic batching of torch works: at most 4.00 requests ran together." in text
    assert "Send binary tensors to torch: at batch 8 JSON is 5.00 times the bytes" in text
    assert "Unvalidated" not in text
    assert "To be doubted" not in text


def test_the_most_that_is_answered_is_what_recommends():
    def swept(study, rates):
        rounds = tuple(
            msgspec.structs.replace(
                r,
                visits=r.visits
                + tuple(
                    Visit(situation="concurrent", load=a_load(c / rate, concurrency=c)) for c, rate in rates.items()
                ),
            )
            for r in study.rounds
        )
        return msgspec.structs.replace(study, rounds=rounds)

    text = shown(swept(a_study("a"), {2: 400.0, 32: 9000.0}), swept(a_study("b", FAST), {2: 500.0, 32: 5000.0}))
    assert "Recommended: a, with 1.80x [" in text
    assert "(concurrency 32, binary)" in text


def test_the_protocol_that_is_advised_is_what_recommends():
    def twofold(study, json, binary):
        answered = {"json": json, "binary": binary}
        visits = tuple(
            Visit(situation="concurrent", load=a_load(16 / rate, concurrency=16, protocol=protocol))
            for protocol, rate in answered.items()
        )
        rounds = tuple(msgspec.structs.replace(r, visits=(*r.visits, *visits)) for r in study.rounds)
        return msgspec.structs.replace(study, rounds=rounds)

    text = shown(twofold(a_study("a"), 90000.0, 4000.0), twofold(a_study("b"), 50000.0, 8000.0))
    assert "Recommended: b, with 2.00x [" in text
    assert "(concurrency 16, binary)" in text


def test_a_tie_recommends_neither():
    near = (0.005, 0.00501, 0.00499)
    text = shown(a_study("a", near), a_study("b", tuple(m * 1.01 for m in near)))
    assert "Either of a and b will do for throughput: within 3%" in text
    assert "they answer alike" in text


def test_what_is_not_decided_says_what_would_decide_it():
    text = shown(a_study("a", (0.005,)), a_study("b", (0.006,)))
    assert "Not decided for throughput: a is at 1.20x [one round: no interval] of b" in text
    assert "--rounds" in text


def test_a_study_of_one_back_end_compares_nothing():
    text = shown(a_study("alone"))
    assert "Recommended" not in text
    assert "cold start" in text


def test_what_was_never_many_at_once_is_not_recommended():
    def without(study):
        rounds = tuple(
            msgspec.structs.replace(r, visits=tuple(v for v in r.visits if v.situation == "single"))
            for r in study.rounds
        )
        return msgspec.structs.replace(study, rounds=rounds)

    text = shown(without(a_study("a")), without(a_study("b")))
    assert "for throughput" not in text


def test_a_study_without_one_at_a_time_says_nothing_of_it():
    def without(study):
        rounds = tuple(
            msgspec.structs.replace(r, visits=tuple(v for v in r.visits if v.situation == "concurrent"))
            for r in study.rounds
        )
        return msgspec.structs.replace(study, rounds=rounds)

    assert "One request at a time" not in shown(without(a_study("a")), without(a_study("b", FAST)))


def test_a_comparison_of_networks_says_so_first():
    far = RoundTrip(median=0.15, low=0.15, count=31, asked="/v2/health/live")
    text = shown(changed(a_study("near")), changed(a_study("far"), round_trip=far))
    advice = text.splitlines()[3]
    assert advice.startswith("- This compares networks: to far the round trip is more than half of a latency below.")
    assert "far, round 1, single, binary: network: the round trip to the server (150 ms" in text
    assert "(and 17 more network)" in text


def test_an_unproven_device_is_told():
    text = shown(a_study("a"), a_study("b", proven=False))
    assert "Unvalidated: which device did the work is not proven for b." in text
    assert "not looked at" in text


def test_what_a_server_does_not_tell_is_left_open():
    silent = changed(a_study("silent"), mean_batch=None, breakdown=None, round_trip=None)
    text = shown(silent)
    assert "Dynamic batching of silent" not in text
    row = next(line for line in text.splitlines() if line.startswith("silent, single, binary"))
    assert row.split()[-7:] == ["-"] * 7


def test_batching_that_was_not_seen_is_told():
    text = shown(changed(a_study("a"), mean_batch=1.0))
    assert "Dynamic batching of a was not seen: at most 1.00 requests ran together." in text


def test_too_few_answers_for_a_p99_are_told_once():
    short = a_load(requests=200).latency
    assert shown(changed(a_study("a"), latency=short)).count("no p99") == 1


def test_protocols_of_different_batches_are_not_compared():
    study = a_study("a")
    rounds = tuple(
        msgspec.structs.replace(
            r, visits=tuple(v for v in r.visits if v.situation != "batch" or v.load.wire.protocol == "binary")
        )
        for r in study.rounds
    )
    assert "Send binary" not in shown(msgspec.structs.replace(study, rounds=rounds))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["torch", HOSTILE])
def test_the_page_is_whole_and_needs_nothing(name):
    page = as_html(document([a_study(name), a_study("triton-onnx", FAST)]))
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert tags.seen.count("table") == 4
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert "http" not in page
    assert "\x1b" not in page


def test_a_page_without_a_heading_has_a_title():
    assert "<title>gpuperf</title>" in as_html([])


def test_markdown_holds_names_as_text():
    text = as_markdown(document([a_study(HOSTILE), a_study("b", FAST)]))
    assert "<script" not in text
    assert text.startswith("# Serving resnet50")
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| concurrency 16")}
    assert widths == {8}


def test_headings_of_text_are_underlined_once():
    text = as_text([Heading("Title", 1), Heading("Part")], 80)
    assert text == "Title\n=====\n\nPart"
