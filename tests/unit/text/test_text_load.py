"""A language model's server under load: what is asked of it, what is counted, and what is wrong with it."""

from __future__ import annotations

import pytest
from certificates import certificate
from scripted_stream import streaming

from pytest_gpuperf.errors import ServerError, UsageError
from pytest_gpuperf.text.served.load_text import TextPlan, load_text_server

QUICK = {"concurrency": 2, "requests": 12, "window_seconds": 0.02, "max_new_tokens": 6, "processes": 1, "timeout": 5.0}


def load(handle, **changes):
    return load_text_server(handle, TextPlan(**{**QUICK, **changes}))


def test_tokens_are_counted_as_the_server_counts_them():
    with streaming() as (script, handle):
        found = load(handle).load
    assert found.generated_tokens == 6 * found.requests
    assert found.prompt_tokens == 7 * found.requests
    assert found.tokens_per_second == pytest.approx(6 * found.requests_per_second)
    assert found.total_tokens_per_second == pytest.approx(13 * found.requests_per_second)
    assert found.texts == 6 * found.requests
    assert found.max_new_tokens == 6
    assert found.api == "chat"
    assert not found.errors
    assert found.dropped == ()
    assert found.cached_share == 0
    assert {s.kinds for s in found.streams} == {"rttttttfu"}
    assert script.served >= found.requests


def test_times_are_those_of_the_stream():
    with streaming(first=0.05, each=0.01) as (_, handle):
        found = load(handle).load
    assert found.ttft.mean >= 0.05
    assert found.tpot.mean >= 0.0095
    assert found.itl.mean == pytest.approx(found.tpot.mean)
    assert found.end_to_end.mean == pytest.approx(found.ttft.mean + 5 * found.tpot.mean)
    assert all(list(stream.times) == sorted(stream.times) for stream in found.streams)
    assert all(stream.end >= stream.times[-1] for stream in found.streams)


def test_a_role_before_anything_is_generated_is_no_first_token():
    with streaming("early role", first=0.05) as (_, handle):
        found = load(handle).load
    assert found.ttft.mean >= 0.05
    assert found.figures("vllm").ttft.mean <= found.ttft.mean - 0.05


def test_a_piece_of_text_is_no_token():
    with streaming("bundled") as (_, handle):
        found = load(handle).load
    assert found.texts == 3 * found.requests
    assert found.generated_tokens == 6 * found.requests


def test_reasoning_is_generated_too():
    with streaming("reasoning") as (_, handle):
        found = load(handle).load
    assert {s.kinds for s in found.streams} == {"rgggtttfu"}
    assert found.generated_tokens == 6 * found.requests
    assert found.texts == 6 * found.requests


@pytest.mark.parametrize(
    ("what", "note"),
    [
        ("no usage", "tokens unknown: the server does not count them"),
        ("liar", "tokens unknown: the server's count contradicts its stream in"),
    ],
)
def test_tokens_that_are_not_known_make_no_rate(what, note):
    with streaming(what) as (_, handle):
        loaded = load(handle)
    found = loaded.load
    assert found.generated_tokens is None
    assert found.tokens_per_second is None
    assert found.total_tokens_per_second is None
    assert found.tpot is None
    assert found.ttft.mean > 0
    assert any(note in n for n in loaded.measurement("s").notes)
    assert set(loaded.blocks) == {"", "ttft"}


def test_what_a_server_does_not_know_is_left_out_and_that_is_said():
    with streaming(refuses={"ignore_eos", "stream_options"}) as (script, handle):
        found = load(handle).load
    assert script.bodies[0].keys() >= {"ignore_eos", "stream_options"}
    assert not script.bodies[-1].keys() & {"ignore_eos", "stream_options"}
    assert [note.split()[0] for note in found.dropped] == ["ignore_eos", "stream_options"]


def test_a_refusal_that_names_no_field_costs_one_after_the_other():
    with streaming(refuses={"stream_options"}, names_refused=False) as (script, handle):
        found = load(handle).load
    assert [note.split()[0] for note in found.dropped] == ["ignore_eos", "stream_options"]
    assert "temperature" in script.bodies[-1]


def test_a_server_may_want_the_length_by_another_name():
    with streaming(refuses={"max_tokens"}) as (script, handle):
        found = load(handle).load
    assert script.bodies[-1]["max_completion_tokens"] == 6
    assert found.dropped == ("max_tokens was refused and left out: max_completion_tokens was taken",)


def test_without_a_chat_prompts_are_completed():
    with streaming(chat=False) as (script, handle):
        found = load(handle).load
    assert found.api == "completions"
    assert isinstance(script.bodies[-1]["prompt"], str)
    assert {s.kinds for s in found.streams} == {"ttttttfu"}
    assert found.dropped == ("it has no chat: prompts are completed, without the template of a chat",)


def test_completions_can_be_asked_for():
    with streaming() as (script, handle):
        assert load(handle, api="completions").load.api == "completions"
    assert "messages" not in script.bodies[-1]


def test_prompts_differ_unless_they_are_given():
    with streaming() as (script, handle):
        assert load(handle).load.repeated == 0
        sent = [body["messages"][0]["content"] for body in script.bodies]
        assert len(set(sent)) == len(sent)
        loaded = load(handle, prompts=("one", "two"))
        assert {body["messages"][0]["content"] for body in script.bodies[len(sent) :]} == {"one", "two"}
    assert loaded.load.repeated > 0.5
    assert any("prompts repeat" in note for note in loaded.measurement("s").notes)


def test_what_came_from_a_cache_of_prefixes_is_reported():
    with streaming(cached=6) as (_, handle):
        loaded = load(handle)
    assert loaded.load.cached_share == pytest.approx(6 / 7)
    assert any(note.startswith("cached: 86% of the prompts' tokens") for note in loaded.measurement("s").notes)


def test_more_prompts_than_one_process_sends_are_shared_out():
    with streaming() as (script, handle):
        load(handle, prompts=("one",), concurrency=4, processes=2)
    assert {body["messages"][0]["content"] for body in script.bodies} == {"one"}


@pytest.mark.parametrize("what", ["split letter", "half a letter", "no done", "until closed", "null first"])
def test_streams_of_all_kinds_are_read(what):
    with streaming(what) as (_, handle):
        found = load(handle, max_new_tokens=1).load
    assert not found.errors
    assert found.requests >= 12


def test_ten_megabytes_in_one_piece_are_an_answer():
    with streaming("huge") as (_, handle):
        found = load(handle, requests=2, concurrency=1, budget=0.0).load
    assert {s.kinds for s in found.streams} == {"rtf"}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("garbage", "*unreadable*an event is no JSON*"),
        ("stops", "*disconnected*the server closed the connection*"),
        ("after role", "*disconnected*the server closed the connection*"),
        ("error event", "*error event*out of memory*"),
        ("named error", "*error event*out of memory*"),
        ("quoted error", "*error event*it said*"),
        ("old error", "*error event*out of memory*"),
        ("no end", "*cut short*after 8 events, without a reason or*"),
        ("silent", "*no text*ended after 2 events, and none had text*"),
        ("plain", "*unreadable*holds no event of a stream*all at once*"),
        ("401", "*status*no such key*export OPENAI_API_KEY=*"),
        ("429", "*status*too many*lower the concurrency*"),
        ("500", "*status*out of luck*"),
    ],
)
@pytest.mark.parametrize("when", ["at first", "under load"])
def test_a_server_that_only_fails_is_one_clear_message(what, message, when):
    fails = streaming(lambda n: what if when == "at first" or n > 8 else "ok")
    with fails as (_, handle), pytest.raises(ServerError) as raised:
        load(handle)
    pytest.LineMatcher([str(raised.value).replace("\n", " ")]).fnmatch_lines([message])
    doing = "to answer its first request" if when == "at first" else "under 2 requests at once"
    assert doing in str(raised.value)


@pytest.mark.parametrize("when", [0, 5])
def test_a_stream_that_never_ends_is_given_up(when):
    never = streaming(lambda n: "endless" if n >= when else "ok")
    with never as (_, handle), pytest.raises(ServerError, match=r"timeout.*no whole answer within 0\.5 s"):
        load(handle, timeout=0.5)


def test_single_faults_are_counted_and_nothing_is_lost():
    with streaming(lambda n: "error event" if n % 10 == 9 else "ok") as (_, handle):
        loaded = load(handle)
    found = loaded.load
    assert set(found.errors) == {"error event"}
    assert len(found.streams) == found.requests
    assert any("error event" in note and "out of memory" in note for note in found.notes)
    assert found.goodput(ttft=60.0) == pytest.approx(found.requests_per_second)
    assert found.goodput(ttft=1e-9) == 0


def test_arrivals_of_their_own_are_timed_from_the_schedule():
    with streaming(first=0.02) as (_, handle):
        loaded = load(handle, rate=200.0, concurrency=1, requests=20, budget=0.2)
    found = loaded.load
    assert found.offered == 200.0
    assert found.from_schedule.ttft.mean > 2 * found.ttft.mean
    assert found.from_schedule.end_to_end.mean > found.from_schedule.ttft.mean


def test_the_key_is_sent_and_kept_nowhere(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    with streaming() as (script, handle):
        loaded = load(handle)
    assert set(script.keys) == {"Bearer a-secret"}
    assert "a-secret" not in repr(loaded)


def test_https(tmp_path, monkeypatch):
    pem, own = certificate(tmp_path)
    with streaming(certificate=pem) as (_, handle):
        with pytest.raises(ServerError, match="certificate verify failed"):
            load(handle)
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        found = load(handle, concurrency=4, processes=2).load
        long = load(handle, prompts=("word " * 100_000,), requests=3, concurrency=1).load
    assert found.generated_tokens == 6 * found.requests
    assert not found.errors
    assert not long.errors, "a prompt that the system does not take at once"


@pytest.mark.parametrize("when", [0, 8])
def test_a_key_that_a_server_quotes_is_hidden(monkeypatch, when):
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    fails = streaming(lambda n: "401" if n >= when else "ok")
    with fails as (_, handle), pytest.raises(ServerError, match=r"no such key: Bearer \*\*\*") as raised:
        load(handle)
    assert "a-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"prompt_tokens": 0}, "prompt_tokens=0"),
        ({"prompts": ()}, "there is no text to send"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"rate": -1.0}, "rate=-1"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        TextPlan(**{**QUICK, **changes})


def test_what_is_judged_is_of_tokens():
    with streaming(first=0.02, each=0.004) as (_, handle):
        loaded = load(handle)
    whole, ttft, decode = (loaded.measurement("s", part) for part in ("", "ttft", "decode"))
    for measured, mean in (
        (whole, 1 / loaded.load.tokens_per_second),
        (ttft, loaded.load.ttft.mean),
        (decode, loaded.load.tpot.mean),
    ):
        assert min(measured.samples) <= mean <= max(measured.samples)
    assert whole.text_load is loaded.load
    assert ttft.text_load is None
