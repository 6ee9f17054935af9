"""Answers in whatever parts they come, and schedules at whatever moments they are asked."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from pytest_gpuperf.serving import frames
from pytest_gpuperf.serving.exchange import Answer, Expected
from pytest_gpuperf.serving.pacing import NEVER, Pace, schedule

BODY = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1,4]}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: %d\r\n\r\n"
WHOLE = HEAD % (len(BODY) + 8) + BODY + b"12345678"
EXPECTED = Expected(BODY, len(BODY) + 8)


def read(raw: bytes, part: int, expected: Expected = EXPECTED) -> Answer:
    answer = Answer(expected, bytearray())
    pieces = [raw[i : i + part] for i in range(0, len(raw), part)]
    done = [answer.feed(memoryview(piece), 0) for piece in pieces]
    assert done == [False] * (len(pieces) - 1) + [True]
    return answer


@pytest.mark.parametrize("part", [1, 2, 7, 40, 1000])
def test_an_answer_may_come_in_any_parts(part):
    answer = read(WHOLE, part)
    assert (answer.status, answer.received, answer.closes) == (200, len(WHOLE), False)
    assert answer.fault() is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((b"200 OK", b"503 no"), "status"),
        ((b"FP32", b"FP16"), "wrong dtype"),
        ((b"[1,4]", b"[4,1]"), "wrong shape"),
        ((b'"name":"y"', b'"name":"z"'), None),  # servers may add what differs between answers
    ],
)
def test_what_is_wrong_is_told_apart(change, fault):
    assert read(WHOLE.replace(*change), 1000).fault() == fault


def test_a_short_answer_is_not_what_it_should_be():
    short = read(HEAD % (len(BODY) + 4) + BODY + b"1234", 1000)
    assert short.fault() == "unreadable"
    assert read(HEAD % (len(BODY) + 4) + BODY + b"1234", 1000, Expected(BODY, None)).fault() is None


def test_a_server_may_close_after_it():
    assert read(WHOLE.replace(b"Content-Type: application/json", b"Connection: close"), 1000).closes


@pytest.mark.parametrize(
    "raw",
    [
        b"SMTP ready",
        b"HTTP/1.1 abc\r\ncontent-length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 " + b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(raw):
    with pytest.raises(ValueError, match="answer"):
        Answer(EXPECTED, bytearray()).feed(memoryview(raw), 0)


def test_a_message_is_kept_for_a_person():
    raw = HEAD.replace(b"200 OK", b"500 no") % 7 + b"trouble"
    answer = Answer(EXPECTED, bytearray())
    assert answer.feed(memoryview(raw), 0)
    assert answer.message() == "500: trouble"


def test_a_closed_loop_has_no_schedule():
    closed = schedule(Pace("closed"), 0)
    assert closed.advance(10**9, 3) == NEVER
    assert closed.take(5).at == 5


def test_a_constant_rate_is_due_at_equal_distances_whenever_it_is_asked():
    given = schedule(Pace("constant", rate=1000.0, phase=0.0005), 10**9)
    assert given.advance(10**9, 1) == 10**9 + 500_000
    given.advance(10**9 + 3_600_000, 2)
    due = [given.take(0) for _ in range(4)]
    assert [d.at - 10**9 for d in due] == [500_000, 1_500_000, 2_500_000, 3_500_000]
    assert [d.held for d in due] == [False, False, True, True]  # two connections were free
    assert given.take(0) is None


def test_poisson_arrivals_have_their_rate_and_are_the_same_for_a_seed():
    def arrivals(seed):
        given = schedule(Pace("poisson", rate=100.0, seed=seed), 0)
        given.advance(100 * 10**9, 0)
        found = []
        while (due := given.take(0)) is not None:
            found.append(due.at)
        return found

    first = arrivals(1)
    assert len(first) == pytest.approx(10_000, rel=0.05)
    gaps = [b - a for a, b in pairwise(first)]
    assert sum(gap > 10**7 for gap in gaps) / len(gaps) == pytest.approx(0.368, rel=0.05)  # 1/e, as memoryless ones
    assert arrivals(1) == first
    assert arrivals(2) != first


def test_frames_pass_a_pipe_whole():
    out, into = os.pipe()
    frames.write(into, "rows", b"x" * 1000)
    frames.write(into, "end")
    assert frames.read(out) == ("rows", b"x" * 1000)
    assert frames.read(out) == ("end", b"")
    os.write(into, b"\x00")
    os.close(into)
    assert frames.read(out) is None
    os.close(out)


def test_a_frame_whose_end_never_comes_is_none():
    out, into = os.pipe()
    whole = bytearray()
    second, first = os.pipe()
    frames.write(first, "rows", b"abcdef")
    whole += os.read(second, 100)
    os.write(into, bytes(whole[:-2]))
    for end in (into, first, second):
        os.close(end)
    assert frames.read(out) is None
    os.close(out)


def test_frames_are_found_in_any_parts():
    out, into = os.pipe()
    frames.write(into, "rows", b"abc")
    frames.write(into, "ready")
    raw = os.read(out, 1000)
    unpacking = frames.Unpacking()
    assert [f for byte in raw for f in unpacking.feed(bytes([byte]))] == [("rows", b"abc"), ("ready", b"")]
    os.close(into)
    os.close(out)
