"""Events are cut out of a text that comes in pieces, whatever else is in it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuperf.traces import json_array
from pytest_gpuperf.traces.json_array import Events


class Event(msgspec.Struct):
    name: str | None = None
    ts: float | None = None


def read(text: str | bytes, size: int = 7) -> tuple[list[Event], Events[Event]]:
    raw = text.encode() if isinstance(text, str) else text
    chunks = (raw[at : at + size] for at in range(0, len(raw), size))
    events = Events(chunks, msgspec.json.Decoder(list[Event], strict=False))
    return [event for batch in events.batches() for event in batch], events


INSIDE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\{}[], :\n\u20ac', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
EVENT = st.fixed_dictionaries({"name": st.text(alphabet='a"\\{}[],\u20ac', max_size=5), "args": INSIDE})


@given(st.lists(EVENT, max_size=8), st.integers(1, 90), st.sampled_from([None, 0, 2]), INSIDE)
@settings(max_examples=150, deadline=None)
def test_every_event_is_found_wherever_the_text_is_cut(elements, size, indent, other):
    text = json.dumps({"head": 1, "traceEvents": elements, "other": other}, indent=indent)
    found, events = read(text, size)
    assert [event.name for event in found] == [element["name"] for element in elements]
    assert (events.found, events.is_bare, events.is_cut, events.unreadable) == (True, False, False, 0)
    assert [json.loads(part) for part in events.outside] == [{"head": 1, "traceEvents": []}, {"other": other}]
    found, events = read(json.dumps(elements, indent=indent), size)
    assert [event.name for event in found] == [element["name"] for element in elements]
    assert (events.found, events.is_bare, events.is_cut, events.unreadable) == (True, True, False, 0)


def test_a_bare_array_may_lack_its_bracket():
    """The format allows it: who writes event after event need not know which is the last."""
    found, events = read('[{"name": "a"},\n{"name": "b"},\n')
    assert ([event.name for event in found], events.is_cut) == (["a", "b"], False)
    found, events = read('[{"name": "a"},\n{"name": "b')
    assert ([event.name for event in found], events.is_cut) == (["a"], True)


def test_a_mark_before_the_text_is_no_part_of_it():
    found, _ = read(b"\xef\xbb\xbf" + b'{"traceEvents": [{"name": "a"}]}', 100)
    assert [event.name for event in found] == ["a"]


@pytest.mark.parametrize("size", [9, 1000])
def test_numbers_that_json_does_not_have_become_none(size):
    found, events = read('{"traceEvents": [{"name": "a", "ts": inf}, {"name": "b", "ts": -NaN}, {"name": "c"}]}', size)
    assert ([(e.name, e.ts) for e in found], events.unreadable) == ([("a", None), ("b", None), ("c", None)], 0)


@pytest.mark.parametrize("size", [9, 1000])
@pytest.mark.parametrize(
    "broken", ['{"name": \\x}', '{"name": {}}', '"text"', "7", "null", "}", '["a"]', '{"ts": "x"}']
)
def test_what_cannot_be_read_is_counted_and_the_rest_is_read(size, broken):
    found, events = read(f'{{"traceEvents": [{{"name": "a"}}, {broken}, {{"name": "b"}}]}}', size)
    assert ([e.name for e in found], events.unreadable, events.is_cut) == (["a", "b"], 1, False)


def test_an_event_that_never_ends_is_left_out(monkeypatch):
    monkeypatch.setattr(json_array, "_LONGEST_EVENT", 50)
    filler = '"' + "x" * 60
    found, events = read('[{"name": "a"}, {"name": "' + filler + '}, {"name": "b"}]', 20)
    assert ([e.name for e in found], events.unreadable > 0) == (["a", "b"], True)
    found, events = read('[{"name": "a"}, {"name": ' + '{"x": ' * 30, 20)
    assert ([e.name for e in found], events.unreadable > 0) == (["a"], True)


def test_a_text_without_events_is_given_back():
    found, events = read('{"nodes": [1, 2]}')
    assert (found, events.found, events.outside) == ([], False, [b'{"nodes": [1, 2]}'])


def test_a_head_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(json_array, "_LONGEST_HEAD", 50)
    _, events = read("{" + " " * 500 + '"traceEvents": []}')
    assert not events.found


def test_of_a_long_tail_no_more_is_kept_than_its_begin(monkeypatch):
    monkeypatch.setattr(json_array, "_LONGEST_TAIL", 50)
    monkeypatch.setattr(json_array, "_LONGEST_EVENT", 30)
    _, events = read('{"traceEvents": [{"name": "a"}], "frames": "' + "x" * 500 + '"}')
    assert len(events.outside[1]) < 70
    assert not events.is_cut


def test_a_text_that_ends_behind_its_events_is_cut():
    found, events = read('{"traceEvents": [{"name": "a"}], "trace')
    assert ([e.name for e in found], events.is_cut) == (["a"], True)
