"""A study of real loads: rounds and points in turns, and what fails is kept with its reason."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
from examples import ENVIRONMENT
from scripted_stream import streaming

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.records.text_study import TextAsked
from pytest_gpuperf.serving.contender import Contender
from pytest_gpuperf.text.served.load_text import TextPlan, enough_prompts
from pytest_gpuperf.text.served.study_text import study_text

PLAN = TextPlan(window_seconds=0.02, timeout=5.0, budget=5.0, processes=1)


def asked(*points, **changes):
    whole = {
        "sweep": "concurrency",
        "points": points,
        "prompt_tokens": 8,
        "max_new_tokens": 4,
        "requests": 12,
        "rounds": 2,
        "api": "chat",
    }
    return TextAsked(**(whole | changes))


def contender(name, handle):
    @contextmanager
    def opened():
        yield handle

    return Contender(name, opened)


def studied(contenders, wanted, said=None):
    return study_text(contenders, wanted, ENVIRONMENT, plan=PLAN, say=[].append if said is None else said.append)


def test_every_server_is_loaded_at_every_point_in_every_round():
    said = []
    with streaming() as (_, one), streaming() as (_, other):
        found = studied([contender("a", one), contender("b", other)], asked(1.0, 2.0, slo={"ttft": 60.0}), said)
    rounds = [line for line in said if line.startswith("round")]
    assert rounds == ["round 1 of 2: a", "round 1 of 2: b", "round 2 of 2: b", "round 2 of 2: a"]
    assert len([line for line in said if "100% met the limits" in line]) == 8
    assert [s.contender for s in found] == ["a", "b"]
    for study in found:
        assert [[p.at for p in one.points] for one in study.rounds] == [[1, 2], [1, 2]]
        assert [p.load.concurrency for one in study.rounds for p in one.points] == [1, 2, 1, 2]
        assert all(p.within == 1.0 and p.looked_at == p.load.requests for one in study.rounds for p in one.points)
        assert all(p.load.streams == () and p.load.streams_left_out for one in study.rounds for p in one.points)
        assert study.unvalidated, "a server elsewhere shows nothing of its device"


def test_no_two_loads_send_the_same_prompts():
    with streaming() as (script, handle):
        studied([contender("a", handle)], asked(1.0, 2.0, prompt_tokens=20))
    prompts = [body["messages"][0]["content"] for body in script.bodies]
    long = [prompt for prompt in prompts if len(prompt.split()) == 20]  # of the loads; others find out how to ask
    assert len(long) > 100
    assert len(set(long)) == len(long)


def test_rates_are_offered_with_room_for_slow_answers():
    said = []
    with streaming() as (_, handle):
        (found,) = studied([contender("a", handle)], asked(50.0, 100.0, sweep="rate", rounds=1), said)
    loads = [point.load for point in found.rounds[0].points]
    assert [(load.offered, load.concurrency, load.arrivals) for load in loads] == [
        (50, 500, "poisson"),
        (100, 1000, "poisson"),
    ]
    assert all(load.from_schedule is not None for load in loads)


def test_without_a_count_of_tokens_progress_says_so():
    said = []
    with streaming("no usage") as (_, handle):
        studied([contender("a", handle)], asked(1.0, rounds=1), said)
    assert "tokens unknown" in said[1]


def test_a_point_at_which_everything_fails_is_kept_with_its_reason():
    said = []
    with streaming(lambda _: "500" if any("concurrency 1:" in line for line in said) else "ok") as (_, handle):
        (found,) = studied([contender("a", handle)], asked(1.0, 2.0, 4.0, rounds=1), said)
    good, *bad = found.rounds[0].points
    assert good.load is not None
    assert [point.load for point in bad] == [None, None], "it runs on, so each point is tried"
    assert all("status" in point.failed for point in bad)
    assert any("failed: The server" in line for line in said)


class Dying:
    """A process that has ended as soon as anything fails."""

    pid = 2**22  # none has it

    def __init__(self):
        self.dead = False

    def alive(self):
        return not self.dead

    def log_tail(self, lines=25):
        return "last words"

    def stop(self):
        self.dead = True


def test_a_server_that_dies_leaves_what_was_measured():
    process, said = Dying(), []

    def script(_):
        process.dead = any("concurrency 1:" in line for line in said)
        return "500" if process.dead else "ok"

    with streaming(script) as (_, handle):
        local = replace(handle, process=process, started=0.5)
        (found,) = studied([contender("a", local)], asked(1.0, 2.0, 4.0, 8.0, rounds=1), said)
    (one,) = found.rounds
    good, bad = one.points  # nothing more was asked of it
    assert good.load is not None
    assert "its process has ended" in bad.failed
    assert "last words" not in bad.failed
    assert any("last words" in line for line in said)
    assert found.evidence is None
    assert one.server_start == 0.5


def test_a_server_that_does_not_start_again_is_a_round_without_one():
    lives = iter([True, False])

    with streaming() as (_, handle):

        @contextmanager
        def opened():
            if not next(lives):
                raise ServerError("It did not start.\n  its log")
            yield handle

        (found,) = studied([Contender("a", opened)], asked(1.0))
    assert [one.failed for one in found.rounds] == [None, "It did not start."]
    assert [len(one.points) for one in found.rounds] == [1, 0]


def stop_at(line):
    def say(text):
        if text == line:
            raise KeyboardInterrupt

    return say


def test_ctrl_c_keeps_the_rounds_that_every_server_has_been_through():
    with streaming() as (_, one), streaming() as (_, other):
        contenders = [contender("a", one), contender("b", other)]
        found = study_text(contenders, asked(1.0), ENVIRONMENT, plan=PLAN, say=stop_at("round 2 of 2: a"))
    assert [len(study.rounds) for study in found] == [1, 1], "b's second round has no other to stand beside"


def test_ctrl_c_in_the_first_round_leaves_nothing_to_keep():
    with streaming() as (_, one), pytest.raises(KeyboardInterrupt, match="no round was finished"):
        study_text([contender("a", one)], asked(1.0), ENVIRONMENT, plan=PLAN, say=stop_at("round 1 of 2: a"))


def test_where_nothing_can_be_measured_the_study_ends_after_its_first_round():
    with (
        streaming("500") as (_, handle),
        pytest.raises(ServerError, match=r"every load failed. The first one: The server"),
    ):
        studied([contender("a", handle)], asked(1.0, 2.0))

    @contextmanager
    def opened():
        raise ServerError("no such disk")
        yield

    with pytest.raises(ServerError, match="no such disk"):
        studied([Contender("a", opened)], asked(1.0))


@pytest.mark.parametrize(
    ("changes", "seconds", "count"),
    [
        ({"concurrency": 1, "requests": 10}, 1.0, 512),
        ({"concurrency": 1, "requests": 100}, 1.0, 1202),
        ({"concurrency": 16, "requests": 10}, 0.1, 12 * 320 + 32),
        ({"concurrency": 16, "requests": 10, "rate": 200.0}, 0.01, 12 * 200 + 32),
        ({"concurrency": 16, "requests": 10}, 0.0001, 20_000),
    ],
)
def test_there_are_prompts_for_the_longest_load(changes, seconds, count):
    assert enough_prompts(TextPlan(**changes), seconds) == count
