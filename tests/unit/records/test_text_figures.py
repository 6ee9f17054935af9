"""One stream, and what each tool would say of it: figures worked out by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.answer_stream import TEXT, AnswerStream
from pytest_gpuperf.records.text_figures import CONVENTIONS, figures, share_within

# The role comes at 10 ms, text at 100, 140 and 200 ms, the reason at 220 ms, usage at 230 ms, the end at 250 ms.
MS = (10, 100, 140, 200, 220, 230)
STREAM = AnswerStream(
    times=tuple(1000 * at for at in MS), kinds="rtttfu", end=250_000, prompt_tokens=9, generated_tokens=5
)


def means(convention: str, *streams: AnswerStream) -> dict[str, float | None]:
    found = figures(streams or (STREAM,), convention)
    return {
        name: None if (latency := getattr(found, name)) is None else pytest.approx(latency.mean)
        for name in ("ttft", "tpot", "itl", "e2e")
    }


@pytest.mark.parametrize(
    ("convention", "ttft", "tpot", "itl", "e2e"),
    [
        ("gpuperf", 0.100, 0.100 / 4, (0.040 + 0.060) / 2, 0.200),
        ("vllm", 0.010, 0.210 / 4, (0.090 + 0.040 + 0.060 + 0.020) / 4, 0.220),
        ("aiperf", 0.100, 0.100 / 4, 0.100 / 4, 0.200),
        ("guidellm", 0.100, 0.200 / 5, 0.100 / 4, 0.250),
    ],
)
def test_each_tool_reads_its_own_figures_off_a_stream(convention, ttft, tpot, itl, e2e):
    assert means(convention) == {"ttft": ttft, "tpot": tpot, "itl": itl, "e2e": e2e}
    assert figures([STREAM], convention).generated_tokens == 5
    assert len(CONVENTIONS[convention].definitions) >= 3


def test_without_the_servers_count_only_guidellm_has_figures_of_tokens():
    stream = AnswerStream(times=STREAM.times, kinds=STREAM.kinds, end=STREAM.end)
    for convention in ("gpuperf", "vllm", "aiperf"):
        found = figures([stream, STREAM], convention)
        assert found.generated_tokens is None
        assert found.tpot.count == 1
    assert figures([stream], "gpuperf").tpot is None
    assert figures([stream], "gpuperf").itl.count == 2
    assert figures([stream], "aiperf").itl is None
    assert figures([stream], "guidellm").generated_tokens == 3
    assert means("guidellm", stream)["tpot"] == 0.200 / 3


def test_a_single_token_has_no_time_per_token_after_the_first():
    stream = AnswerStream(times=(1000,), kinds="t", end=2000, generated_tokens=1)
    for convention in ("gpuperf", "vllm", "aiperf"):
        assert figures([stream], convention).tpot is None
    assert figures([stream]).itl is None
    assert means("guidellm", stream) == {"ttft": 0.001, "tpot": 0.001, "itl": None, "e2e": 0.002}


def test_no_streams_have_no_figures():
    found = figures([])
    assert (found.answers, found.ttft, found.tpot, found.itl, found.e2e) == (0, None, None, None, None)
    assert found.generated_tokens is None


def test_a_stream_knows_its_first_and_last_events_of_a_kind():
    thinking = AnswerStream(times=(1000, 2000, 3000), kinds="gtu", end=4000)
    assert thinking.first(TEXT) == 0.001
    assert thinking.last(TEXT) == 0.002
    assert thinking.first(frozenset("f")) is None
    assert thinking.last(frozenset("f")) is None
    assert thinking.texts == 2
    assert thinking.bundled == 0
    assert AnswerStream(times=(5, 5, 5), kinds="ttt", end=5).bundled == 2


@pytest.mark.parametrize(
    ("slo", "share"),
    [
        ({"ttft": 0.1}, 1.0),
        ({"ttft": 0.099}, 0.0),
        ({"ttft": 0.1, "tpot": 0.025, "e2e": 0.2}, 1.0),
        ({"ttft": 0.1, "tpot": 0.024}, 0.0),
        ({}, 1.0),
    ],
)
def test_an_answer_is_good_that_met_all_limits_at_once(slo, share):
    assert share_within([STREAM], slo) == share


def test_what_is_not_known_misses_its_limit():
    stream = AnswerStream(times=(1000, 2000), kinds="tt", end=2000)
    assert share_within([STREAM, stream], {"tpot": 1.0}) == 0.5
    assert share_within([], {"ttft": 1.0}) == 0.0


@pytest.mark.parametrize(("limit", "share"), [("ttft", 0.0), ("tpot", 1.0), ("e2e", 0.0)])
def test_who_waits_to_be_sent_waits(limit, share):
    """Limits run from when a request was due; a pause between tokens is what it is."""
    slo = {"ttft": 0.1, "tpot": 0.025, "e2e": 0.2}
    late = replace(STREAM, late=1000)
    assert share_within([late], {limit: slo[limit]}) == share
    assert share_within([late], {limit: slo[limit] + 0.0011}) == 1.0


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match=r"no convention 'sglang'. Choose one of: gpuperf, vllm, aiperf, guidellm"):
        figures([STREAM], "sglang")
    with pytest.raises(UsageError, match=r"no limit on 'ttfb'. Set limits on: ttft, tpot, e2e"):
        share_within([STREAM], {"ttfb": 1.0})
