"""A study of language models' servers as a document: doubts first, then what to do, and nothing that is not known."""

from __future__ import annotations

import msgspec
import pytest
from loads import a_text_point, a_text_study

from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.served_load import Client
from pytest_gpuperf.records.text_load import Late
from pytest_gpuperf.records.text_study import TextPoint
from pytest_gpuperf.reports.document import Picture, as_html, as_markdown, as_text
from pytest_gpuperf.reports.text_study_report import document

SLO = {"slo": {"ttft": 0.5, "tpot": 0.03}}
BEHIND = {"verdict": "inconclusive", "growth": 0.5}
BUSY = Client(processes=1, busy=0.9, seconds=1e-3)
DRAWN = Picture("TTFT, mean, by concurrency", "charts/a b.svg", b"<svg>light</svg>", b"<svg>dark</svg>")


def shown(*studies, pictures=()):
    return as_text(document(studies, pictures), 1000)


def good(at, rate=50.0, within=1.0, **changes):
    return a_text_point(at, rate, within=within, looked_at=300, **changes)


def three(*points):
    """Three rounds that differ by a percent."""
    return [[msgspec.structs.replace(p, load=scaled(p.load, f)) for p in points] for f in (1.0, 1.01, 0.99)]


def scaled(load, factor):
    windows = tuple(msgspec.structs.replace(w, seconds=w.seconds / factor) for w in load.windows)
    return msgspec.structs.replace(load, windows=windows)


def with_limits(name, rate, within=1.0):
    return a_text_study(name, three(good(1, rate), good(2, 1.5 * rate, within)), **SLO)


def test_one_server_is_recommended_at_the_least_load_that_will_do():
    text = shown(with_limits("vllm", 10.0))
    assert "Recommended: vllm at concurrency 2: 15.0 [" in text
    assert "] requests/s within the limits. It is the least load that brings as much as any" in text
    assert "Highest that meets the limits: concurrency 2, in 3 of 3 rounds (99% of requests within" in text
    assert "To be known first" not in text
    assert "Who is better at what" not in text


def test_without_limits_it_says_how_to_ask_for_them():
    text = shown(a_text_study())
    assert "Goodput, and the highest load that meets limits, are left out. Say what an answer may take" in text
    assert "--slo ttft=500ms,tpot=30ms" in text
    assert "limits met" not in text
    assert "tokens/s" in text


def test_one_round_has_no_interval():
    assert "[one round: no interval] tokens/s" in shown(a_text_study(rounds=[[a_text_point(1)]]))


def test_the_better_of_two_is_recommended_where_each_is_at_its_best():
    text = shown(with_limits("slow", 10.0), with_limits("quick", 20.0))
    assert "Recommended: quick at concurrency 2, with 2.00x [" in text
    assert "the goodput of slow at concurrency 2: 30.0 [" in text
    assert "Who is better at what" in text
    assert "Side by side" in text
    assert "concurrency 2  goodput" in text


def test_a_percent_is_a_tie():
    means = with_limits("a", 10.0), with_limits("b", 10.05)
    assert "Either will do, b at concurrency 2 or a at concurrency 2: their goodput is within 3%, 15.1 [" in shown(
        *means
    )


def test_one_round_decides_nothing():
    text = shown(a_text_study("a", [[a_text_point(1, 10.0)]]), a_text_study("b", [[a_text_point(1, 20.0)]]))
    assert "Not decided: b at concurrency 1 has 2.00x [one round: no interval] the tokens/s of a" in text
    assert "--rounds" in text


def test_only_one_of_two_will_do():
    text = shown(with_limits("good", 10.0), a_text_study("bad", three(good(1, 10.0, 0.5), good(2, 10.0, 0.5)), **SLO))
    assert "Recommended: good at concurrency 2" in text
    assert "No other server has a concurrency that will do in every round." in text
    assert "No concurrency met the limits in every round: 99% of requests within ttft 500 ms and tpot 30.0 ms" in text
    assert "\nbad     concurrency 1      900             4,500" in text


@pytest.mark.parametrize(("asked", "what"), [(SLO, "met the limits in every round"), ({}, "was borne in every round")])
def test_nobody_is_recommended_where_nothing_will_do(asked, what):
    rounds = [[good(1, within=0.1), TextPoint(at=2, failed="refused")], [TextPoint(at=1, failed="refused")]]
    text = shown(a_text_study("vllm", rounds, **asked))
    assert f"No recommendation: no concurrency that was asked for {what}." in text
    assert "1 stable, 1 failed" in text
    assert "1 failed, 1 no server" in text


def test_what_was_met_only_sometimes_is_said():
    text = shown(a_text_study("vllm", [[good(1), good(2)], [good(1), good(2, within=0.5)]], **SLO))
    assert "Highest that meets the limits: concurrency 1, in 2 of 2 rounds" in text
    assert (
        "That is a share of 600 answers. For 99% to hold beyond them it takes 662: ask for more with --requests" in text
    )
    assert "At concurrency 2 it did in 1 of 2 rounds" in text
    assert "50%" in text


def test_every_doubt_stands_above_the_recommendation():
    changes = {
        "client": BUSY,
        "verdict": "inconclusive",
        "bundled": 0.5,
        "dropped": ("ignore_eos was refused and left out: answers may end before all tokens",),
        "notes": ("tokens unknown: the server does not count them",),
        "generated_tokens": None,
        "cached_tokens": 3000,
        "tpot": None,
    }
    bad = a_text_point(2, **changes)
    rounds = [[a_text_point(1), bad], [a_text_point(1), bad]]
    broken = msgspec.structs.replace(a_text_study("vllm", rounds, proven=False).rounds[1], points=(), failed="no disk")
    study = a_text_study("vllm", rounds, proven=False)
    text = shown(msgspec.structs.replace(study, rounds=(*study.rounds, broken)))
    doubts, _, advice = text.partition("What to do")
    assert "Recommended" not in doubts
    assert "No recommendation" in advice
    for kind in (
        "client-limited:",
        "inconclusive:",
        "bundled:",
        "ignore_eos was refused",
        "tokens unknown:",
        "cached:",
    ):
        assert f"vllm, round 1, concurrency 2: {kind}" in doubts
    assert "(and 1 more bundled)" in doubts
    assert "vllm, round 3: incomplete: no disk" in doubts
    assert "unvalidated: which device did the work is not proven for vllm" in doubts


def test_a_server_that_died_is_said_with_what_was_measured():
    rounds = [[a_text_point(1), TextPoint(at=2, failed="its process has ended")], [a_text_point(1), a_text_point(2)]]
    text = shown(a_text_study("vllm", rounds))
    assert "vllm, round 1: incomplete: concurrency 2: its process has ended" in text
    assert "Recommended: vllm at concurrency 1" in text


def test_limits_that_saw_a_part_of_the_answers_say_so():
    text = shown(a_text_study("vllm", [[a_text_point(1, within=1.0, looked_at=100)]], **SLO))
    assert "limits: 100 of 300 answers were held against them, as many as fit" in text


def test_rates_have_a_knee_and_no_law():
    late = Late(ttft=latency_of([0.7] * 300), end_to_end=latency_of([0.9] * 300))
    points = [a_text_point(1, 1.0, from_schedule=late), a_text_point(2, 1.5, **BEHIND)]
    text = shown(a_text_study("vllm", three(*points), sweep="rate"))
    assert "Kept up with 1.00 /s, and falls behind at 2.00 /s (in 3 of 3 rounds): from there on the latency" in text
    assert "Recommended: vllm at rate 1.00 /s: 5.00 [" in text
    assert "700 ms" in text, "from the schedule"
    assert "both from when a request was due: what waits to be sent has somebody who waits" in text
    assert "falls behind" in text
    assert "Scalability" not in text
    assert "inconclusive:" not in text, "that is what the study looks for"


@pytest.mark.parametrize(
    ("rounds", "told"),
    [
        ([[a_text_point(1)]], "Kept up with every rate that was asked for: the knee is beyond them"),
        ([[a_text_point(1, **BEHIND)]], "Kept up with no lower rate, and falls behind at 1.00 /s (in 1 of 1 rounds)"),
        ([[a_text_point(1)], [a_text_point(1, **BEHIND)]], "Fell behind rate 1.00 /s in 1 of 2 rounds"),
    ],
)
def test_how_far_a_server_keeps_up(rounds, told):
    assert told in shown(a_text_study("vllm", rounds, sweep="rate"))


def lawful(b, noise=0.0):
    at = (1, 2, 4, 8, 16, 32)
    rates = [10 * n / (1 + 0.1 * (n - 1) + b * n * (n - 1)) * (1 + noise * (-1) ** i) for i, n in enumerate(at)]
    return a_text_study("vllm", [[a_text_point(n, rate) for n, rate in zip(at, rates, strict=True)]])


@pytest.mark.parametrize(
    ("study", "told"),
    [
        (
            lawful(0.01),
            "g = 10.0 requests/s at one in flight, contention a = 0.100, coherence b = 0.0100; the figures lie 0%",
        ),
        (lawful(0.01), "its peak is at 9 in flight"),
        (lawful(0.0), "no peak as far as was measured"),
        (lawful(0.01, 0.4), "does not describe these figures, which lie"),
        (a_text_study(rounds=[[a_text_point(1)]]), "not fitted, since that takes 4 concurrencies that were measured"),
    ],
)
def test_the_law_is_said_where_it_fits(study, told):
    assert f"Universal Scalability Law: {told}" in shown(study) or told in shown(study)


def test_what_is_not_known_is_no_zero():
    bare = a_text_study("tgi", [[a_text_point(1, generated_tokens=None, tpot=None)]])
    text = shown(msgspec.structs.replace(bare, evidence=None), a_text_study("b", [[a_text_point(1)]]))
    assert "tgi     concurrency 1      300                 -         -" in text
    assert "device did the work  not looked at  proven" in text


def test_a_server_of_which_nothing_is_known_has_no_model():
    nothing = a_text_study("gone", [[TextPoint(at=1, failed="refused")]])
    text = shown(a_text_study("b", [[a_text_point(1)]]), nothing)
    assert "model                tiny       -" in text
    assert "gone    concurrency 1        0" in text


def test_charts_are_files_in_texts_and_inside_the_page():
    parts = document([a_text_study()], [DRAWN])
    assert "- TTFT, mean, by concurrency: charts/a b.svg" in as_text(parts, 100)
    assert "![TTFT, mean, by concurrency](charts/a%20b.svg)" in as_markdown(parts)
    page = as_html(parts)
    assert page.count("data:image/svg+xml;base64,") == 2
    assert 'alt="TTFT, mean, by concurrency"' in page
    assert "PHN2Zz5kYXJrPC9zdmc+" in page


def test_without_charts_it_says_what_draws_them():
    assert "They are drawn with matplotlib, which is missing: pip install 'pytest-gpuperf[report]'" in shown(
        a_text_study()
    )


def test_nothing_in_a_name_is_markup():
    name = "vllm<script>alert(1)</script>|x\x1b[31m"
    parts = document([a_text_study(name)], [Picture(f"TTFT of {name}", f"{name}.svg", b"", b"")])
    assert "<script>" not in as_html(parts)
    assert "\x1b" not in as_text(parts, 80) + as_markdown(parts) + as_html(parts)
