"""A user writes a perf test and looks at what it measured."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from pytest_gpuperf.device import choice
from pytest_gpuperf.device.choice import Chosen, choose_device
from pytest_gpuperf.device.memory import AllocatorMemory
from pytest_gpuperf.records.files import read_run


def test_a_measurement_can_be_asserted_on(story):
    story.suite("""
        def test_spin(gpuperf):
            m = gpuperf(spin, 40, items=4)  # at most 500 calls, and p99 needs 662
            assert 0.02 < m.device_time.median < 0.4
            assert m.throughput == pytest.approx(4 / m.device_time.median)
            assert m.latency.p50 is not None and m.latency.p99 is None
            assert m.clock == "host" and m.ended == "steady"
            assert gpuperf.device == "cpu"
    """)
    result = story.run("--gpuperf-budget", "20")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["gpuperf: *timed by the host clock", "test_perf.py", "  test_spin *"])
    assert result.ret == 0


def test_a_measurement_is_frozen(story):
    story.suite("""
        def test_spin(gpuperf):
            m = gpuperf(spin, 0.1)
            with pytest.raises(AttributeError):
                m.items = 5
    """)
    story.run().assert_outcomes(passed=1)


def test_several_measurements_of_a_test_have_names(story):
    story.suite("""
        def test_spin(gpuperf):
            gpuperf(spin, 0.1, name="short")
            gpuperf(spin, 0.2, name="long")
    """)
    result = story.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  test_spin#short *"])
    result.stdout.fnmatch_lines(["  test_spin#long *"])


def test_two_unnamed_measurements_are_refused(story):
    story.suite("""
        def test_spin(gpuperf):
            gpuperf(spin, 0.1)
            gpuperf(spin, 0.2)
    """)
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*measures twice without a name*"])


def test_a_workload_may_end_the_session(story):
    story.suite("""
        def test_first(gpuperf):
            gpuperf(lambda: pytest.exit("the card is on fire", returncode=9))

        def test_second(gpuperf):
            gpuperf(spin, 0.1)
    """)
    result = story.run()
    assert result.ret == 9
    result.stdout.fnmatch_lines(["*_pytest.outcomes.Exit: the card is on fire*"])
    assert result.parseoutcomes().get("passed") is None


SILENT = """
    def test_silent(gpuperf, gpuperf_load):
        pass

    def test_skipped(gpuperf):
        pytest.skip("no data")

    def test_refused(gpuperf):
        with pytest.raises(pytest.fail.Exception):
            gpuperf(42)
"""


def test_a_test_that_measures_nothing_is_warned_of_and_fails_where_strict_is_on(story):
    story.suite(SILENT)
    result = story.run("-W", "default::pytest.PytestWarning")
    result.assert_outcomes(passed=2, skipped=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_perf.py::test_silent asks for gpuperf and measures nothing. Call *"])
    result = story.run("--gpuperf-strict")
    result.assert_outcomes(passed=2, skipped=1, errors=1)
    result.stdout.fnmatch_lines(["*asks for gpuperf and measures nothing. *(--gpuperf-strict)"])


@pytest.mark.parametrize("items", ["0", "True", "2.0", "2**40 + 1", "10**30"])
def test_items_that_cannot_be_counted_are_refused(story, items):
    story.suite(f"""
        def test_spin(gpuperf):
            gpuperf(spin, 0.1, items={items})
    """)
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["items=*: throughput is items per second*"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("''", "name='': the name of a measurement is a text*"),
        ("7", "name=7: the name of a measurement is a text*"),
        ("'x' * 5000", "The name of this case would have 5,0* characters*"),
        ("'\\ud800'", "*ud800' holds characters that cannot be shown*"),
        ("'\\x1b[2J'", "*x1b[[]2J' holds characters that cannot be shown*"),
    ],
)
def test_a_name_that_no_file_can_hold_is_refused_and_the_other_cases_are_kept(story, name, says):
    story.suite(f"""
        def test_good(gpuperf):
            gpuperf(spin, 0.1)

        def test_bad(gpuperf):
            gpuperf(spin, 0.1, name={name})
    """)
    result = story.run("--gpuperf-save", "run.json")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([says])
    assert [c.id for c in read_run(story.path / "run.json").cases] == ["test_perf.py::test_good"]


def test_a_parameter_that_no_file_can_hold_is_left_out(story):
    story.suite("""
        @pytest.mark.parametrize("text", ["\\ud800"], ids=["half"])
        def test_spin(gpuperf, text):
            gpuperf(spin, 0.1)
    """)
    story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    (case,) = read_run(story.path / "run.json").cases
    assert case.parameters == {}


@pytest.mark.parametrize(
    ("work", "says"),
    [
        ("coroutine", "coroutine gives a coroutine: *lambda: loop.run_until_complete(coroutine(x))*"),
        ("asynchronous", "asynchronous gives an asynchronous generator: *"),
        ("generator", "generator gives a generator: *lambda: list(generator(x))*"),
        ("partial(generator, 1)", "generator gives a generator: *"),
        ("Called()", "Called gives a coroutine: *"),
        ("map", "map gives an iterator: *lambda: list(map(f, xs))*"),
    ],
)
def test_what_only_promises_its_work_is_refused(story, work, says):
    story.suite(f"""
        from functools import partial

        async def coroutine(): pass
        async def asynchronous(): yield
        def generator(n=0): yield

        class Called:
            async def __call__(self): pass

        def test_spin(gpuperf):
            gpuperf({work})
    """)
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([says])


def test_what_cannot_be_called_is_refused(story):
    story.suite("""
        def test_spin(gpuperf):
            gpuperf(42)
    """)
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*measures a callable; 42 is none*"])


def test_a_workload_that_raises_fails_its_own_test_with_the_cause(story):
    story.suite("""
        def broken():
            raise ValueError("no such layer")

        def test_broken(gpuperf):
            gpuperf(broken)

        def test_spin(gpuperf):
            gpuperf(spin, 0.1)
    """)
    result = story.run("--gpuperf-save", "run.json")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*ValueError: no such layer*"])


def test_a_workload_out_of_memory_fails_its_own_test(story):
    story.suite("""
        def greedy():
            raise MemoryError("cannot allocate 80 GiB")

        def test_greedy(gpuperf):
            gpuperf(greedy)

        def test_spin(gpuperf):
            gpuperf(spin, 0.1)
    """)
    result = story.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*OutOfMemoryError*"])


def test_a_device_that_is_lost_leaves_what_was_measured_before(story, monkeypatch):
    """What fails for good is numpy's product here, which the canaries need; on a GPU it is every call."""
    monkeypatch.setattr(np, "matmul", np.matmul)  # put back what the suite breaks
    story.suite("""
        import numpy as np

        def lost(*args, **kwargs):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        def test_before(gpuperf):
            gpuperf(spin, 0.1)

        def test_loses_it(gpuperf):
            np.matmul = lost
            gpuperf(np.matmul)

        def test_after(gpuperf):
            gpuperf(np.matmul)
    """)
    result = story.run("--gpuperf-save", "run.json")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*DeviceLostError: The GPU does nothing more for this process: CUDA error: an ill*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    (case,) = read_run(story.path / "run.json").cases
    assert case.test.endswith("test_before")


def test_a_test_is_not_charged_for_what_another_left(story, monkeypatch):
    """The allocator of a card holds what the suite says that it left."""
    monkeypatch.setenv("LEFT", "0")

    def left() -> int:
        return int(os.environ["LEFT"])

    def choose(request: str) -> Chosen:
        meter = AllocatorMemory(lambda: None, lambda: left() + 30, left, lambda: None)
        return replace(choose_device(request), memory=meter)

    monkeypatch.setattr(choice, "choose_device", choose)
    story.suite("""
        import os

        def test_first(gpuperf):
            assert gpuperf(spin, 0.1).peak_memory == 30
            os.environ["LEFT"] = "70"

        def test_second(gpuperf):
            m = gpuperf(spin, 0.1)
            assert (m.peak_memory, m.peak_allocated) == (30, 100)
    """)
    story.run().assert_outcomes(passed=2)


def test_a_workload_that_takes_no_time_is_measured_all_the_same(story):
    story.suite("""
        def nothing():
            pass

        def test_nothing(gpuperf):
            assert gpuperf(nothing).device_time.median > 0
    """)
    story.run().assert_outcomes(passed=1)


def test_keyword_arguments_go_through_partial(story):
    story.suite("""
        from functools import partial

        def test_spin(gpuperf):
            assert gpuperf(partial(spin, milliseconds=1)).device_time.median > 0.0009
    """)
    story.run().assert_outcomes(passed=1)


def test_the_timer_times_a_stretch_and_a_function(story):
    story.suite("""
        def test_spin(cuda_timer):
            with cuda_timer() as span:
                spin(2)
            assert span.seconds > 0.0019
            assert cuda_timer.time(spin, 2) > 0.0019
            assert cuda_timer.clock == "host"
    """)
    story.run().assert_outcomes(passed=1)


def test_a_collection_before_a_measurement_does_not_look_at_every_module(story):
    """It took a seventh of a second a test once torch was imported."""
    story.suite("""
        import gc

        def test_spin(gpuperf):
            assert gc.get_freeze_count() > len(gc.get_objects())
            gpuperf(spin, 0.1)
    """)
    story.run().assert_outcomes(passed=1)
