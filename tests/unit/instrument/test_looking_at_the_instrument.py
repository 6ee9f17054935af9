"""The instrument looked at: it holds as it is, and each planted fault fails the row that is there for it."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic, perf_counter_ns, sleep

import pytest
from nvml.standin import Machine

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.instrument import evidence_rows, memory_rows, power_rows, timing_rows
from pytest_gpuperf.instrument.repeats import pause_between_calls
from pytest_gpuperf.instrument.steps import ON_CPU, ON_GPU, affordable, steps_of
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.records.units import MiB


def words(rows):
    return {row.what: row.word for row in rows}


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.instrument.repeats._PLAN", Plan(budget=0.1))
    return choose_device("cpu")


def test_a_pause_between_calls_is_seen_where_each_has_as_many_kernels():
    graph = [(0, 2), (3, 5), (10, 12), (13, 15), (20, 22), (23, 25)]  # three replays of two kernels
    assert pause_between_calls(graph, 3) == 5
    assert pause_between_calls(graph, 6) == 1  # single kernels: 1, 5, 1, 5, 1
    assert pause_between_calls(graph, 1) == 0.0
    assert pause_between_calls(graph, 4) == 0.0


def test_a_clock_that_runs_five_percent_fast_is_found_out(chosen):
    fast = replace(chosen, clock=HostClock(timer=lambda: int(perf_counter_ns() * 1.05)))
    assert words(timing_rows.clock(fast))["a call that waits"] == "fails"
    found = words(timing_rows.loop(fast))
    assert found["a loop: beside the processor's own time"] == "fails"
    assert found["a loop: beside timeit, in turns"] == "fails"


def test_the_clock_agrees_with_others_that_know_the_time(chosen, monkeypatch):
    monkeypatch.setattr(timing_rows, "_AGREES", 0.1)  # coverage traces our loop, and not timeit's
    assert set(words(timing_rows.clock(chosen)).values()) == {"holds"}
    for look in (timing_rows.loop, timing_rows.product, timing_rows.copy):
        for row in look(chosen):
            if "beside" in row.what:  # how far equal measurements lie apart is the machine's affair
                assert row.word == "holds", row


def test_work_of_the_processor_is_proven_and_is_no_gpu_s(chosen):
    rows = list(evidence_rows.of_processor(chosen))
    assert [row.word for row in rows] == ["holds", "holds"]
    assert rows[0].figure.startswith("proven; processor time: busy for ")
    assert rows[1].figure == "contradicted; parameters: 1.00 MiB on cpu"


def test_a_verdict_that_is_not_the_known_one_fails(chosen):
    prover = evidence_rows.Prover("cpu", None, chosen.clock, chosen.sensors)
    row = evidence_rows._row("a loop", prover, lambda: sum(range(200_000)), (), "contradicted")
    assert (row.word, row.bar) == ("fails", "contradicted")


def test_without_torch_a_gpu_s_evidence_cannot_be_had(chosen, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert [row.word for row in evidence_rows.of_processor(chosen)] == ["holds", "not possible"]


def test_a_leak_is_found_a_clean_test_passes_and_running_out_is_survived(chosen):
    rows = list(memory_rows.of_process(chosen))
    assert {row.word for row in rows} <= {"holds", "not possible"}
    assert words(rows)["a leak of 600 MiB"] == "holds"
    assert words(rows)["more memory than there can be"] == "holds"


def test_a_meter_that_sees_nothing_fails_the_leak(chosen):
    blind = replace(chosen, sensors=replace(chosen.sensors, memory_in_use=lambda: 10 * MiB))
    found = words(memory_rows._rows(blind, bytearray, lambda size: bytearray(1 << 62)))
    assert found["a test that frees what it took"] == "holds"
    assert found["a leak of 600 MiB"] == "fails"


def test_a_peak_that_is_too_low_or_that_nobody_tells(chosen):
    class Half:
        source = "scripted"

        def __init__(self, peak):
            self.peak = lambda: peak

        def reset(self): ...
        def allocated(self):
            return 0

        def release(self): ...

    (row,) = [memory_rows._peak(replace(chosen, memory=Half(128 * MiB)), bytearray)]
    assert (row.word, row.figure) == ("fails", "128 MiB (scripted)")
    row = memory_rows._peak(replace(chosen, memory=Half(None)), bytearray)
    assert (row.word, row.figure) == ("not possible", "scripted cannot be read here")


def test_memory_that_nobody_tells_is_not_possible(chosen):
    why = Missing("unsupported", "nobody knows")
    blind = replace(chosen, sensors=replace(chosen.sensors, memory_in_use=lambda: why))
    row = next(memory_rows._rows(blind, bytearray, bytearray))
    assert row.word == "not possible"
    assert "nobody knows" in row.figure


def test_exhaustion_that_is_none_and_an_allocation_that_fails(chosen):
    assert memory_rows._exhausted(chosen, lambda _: None).word == "fails"

    def full(size):
        if size == memory_rows._PEAK:
            raise MemoryError("full")
        return bytearray(16)

    rows = []
    with pytest.raises(MemoryError):
        rows.extend(memory_rows._rows(chosen, full, full))
    calls = iter([None, None, None])
    rows = list(
        memory_rows._rows(chosen, lambda size: next(calls, None) or bytearray(16), lambda size: bytearray(1 << 62))
    )
    assert rows[-1].word == "holds"


@pytest.fixture
def card(machine: Machine, chosen, monkeypatch):
    """The processor, with the meter of a scripted card; windows of half a second, since its counter moves often."""
    monkeypatch.setattr(power_rows, "ENOUGH_SECONDS", 0.5)
    monkeypatch.setattr(power_rows, "_SECONDS_OF_WATTS", 0.4)
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    return replace(chosen, sensors=replace(chosen.sensors, meter=GpuMeter(found[0])))


def test_the_counter_of_a_card_and_equal_windows(machine: Machine, card, monkeypatch):
    monkeypatch.setitem(power_rows._STEADY, "cpu", 0.25)  # of windows so short, and of calls that nobody can slow down
    monkeypatch.setattr(power_rows, "_work", lambda chosen: (lambda: sleep(0.02), 1))
    monkeypatch.setattr(power_rows, "_AGREES", 0.25)
    (row,) = power_rows.counter(card)
    assert row.word == "holds"
    assert row.figure.endswith(" ms")
    rows = list(power_rows.equal_windows(card))
    assert [row.word for row in rows] == ["holds", "holds"], rows
    assert rows[0].figure.endswith("; energy counter")


def test_windows_of_equal_work_that_do_not_take_the_same_fail(machine: Machine, card, monkeypatch):
    started = monotonic()

    def work():
        machine.change(power=100 if monotonic() - started < 2.5 else 500)
        sleep(0.02)

    monkeypatch.setattr(power_rows, "_work", lambda chosen: (work, 1))
    assert next(power_rows.equal_windows(card)).word == "fails"


def test_idle_and_busy_power(machine: Machine, card):
    idle = replace(card, sensors=replace(card.sensors, idle_watts=60.0))
    limited = replace(idle, device=__import__("msgspec").structs.replace(card.device, power_limit=100))
    machine.change(power=62)
    assert words(power_rows._idle_and_busy(limited)) == {"idle power": "fails", "power at work": "fails"}
    machine.change(power=260)
    assert words(power_rows._idle_and_busy(idle)) == {"power at work": "holds"}
    unknown = replace(card, sensors=replace(card.sensors, idle_watts=Missing("failed", "no watts")))
    assert words(power_rows._idle_and_busy(unknown)) == {"idle power": "not possible"}


def test_a_machine_without_a_counter_says_why(chosen, monkeypatch):
    monkeypatch.setattr(power_rows, "ENOUGH_SECONDS", 0.1)
    why = Missing("unsupported", "no counter")

    class Meter:
        wraps_at = None
        refused = staticmethod(lambda: None)
        energy = power = staticmethod(lambda: why)

    bare = replace(chosen, sensors=replace(chosen.sensors, meter=Meter(), idle_watts=60.0))
    assert [(row.word, row.figure) for row in power_rows.counter(bare)] == [("not possible", "no counter")]
    assert [(row.word, row.figure) for row in power_rows.equal_windows(bare)] == [("not possible", "no counter")]
    assert words(power_rows._idle_and_busy(bare)) == {"power at work": "not possible"}


def test_a_budget_takes_the_most_telling_steps_and_names_the_others():
    everything, none = affordable(ON_CPU, None)
    assert (tuple(everything), none) == (ON_CPU, [])
    taken, left_out = affordable(ON_CPU, 20)
    assert sum(step.seconds for step in taken) <= 20
    assert taken[0] is ON_CPU[0]
    assert {step.name for step in taken} | {step.step for step in left_out} == {step.name for step in ON_CPU}


def test_steps_have_names_of_their_own():
    assert steps_of("cuda") is ON_GPU
    assert steps_of("cpu") is ON_CPU
    for steps in (ON_CPU, ON_GPU):
        assert len({step.name for step in steps}) == len(steps)
        assert {step.part for step in steps} == {"timing", "evidence", "memory", "power"}
