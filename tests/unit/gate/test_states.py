"""A session in a slow-down is compared with sessions in the same one."""

from __future__ import annotations

from pytest_gpuperf.comparison.acceptance import accept
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.records.model import Case, Device, Environment, Measurement, Run, Session

HOT = "thermal slow-down"


def run(session: str, seconds: float, state: str | None, clock: int | None = None) -> Run:
    """One case that took as many seconds, in a session of its own day."""
    number = int(session[1:])
    measurement = Measurement(
        session=session,
        items=1,
        clock="host",
        blocks=((seconds, seconds * 1.001),) * 16,
        span_calls=1,
        ended="steady",
        interval=0.0,
        state=state,
        sm_clock=clock,
    )
    return Run(
        environment=Environment(device=Device(kind="cpu", name="a processor", memory=1)),
        sessions=(Session(id=session, time=f"2026-01-{number + 1:02}T00:00:00Z"),),
        cases=(Case(id="t.py::t", test="t.py::t", measurements=(measurement,)),),
    )


def judged(baseline_state: str | None, state: str | None, seconds: float) -> str:
    runs = [run(f"s{i}", 0.01, baseline_state) for i in range(5)]
    baseline = accept(None, runs, {}).baseline
    assert [s.state for s in baseline.cases[0].series] == [baseline_state] * 5
    again = run("s9", seconds, state)
    found = compare(again, baseline, name="baseline.json", rules=Rules())
    return next(f.verdict.word for f in found.findings if f.evidence == "time")


def test_a_state_that_the_baseline_shares_is_judged() -> None:
    assert judged(HOT, HOT, 0.01) == judged(None, None, 0.01) == "unchanged"


def test_a_state_that_the_baseline_never_saw_is_inconclusive() -> None:
    assert judged(None, HOT, 0.02) == "inconclusive"
    assert judged(HOT, None, 0.005) == "inconclusive"


def notes(before: int | None, now: int | None) -> tuple[str, ...]:
    baseline = accept(None, [run(f"s{i}", 0.01, None, before) for i in range(5)], {}).baseline
    found = compare(run("s9", 0.01, None, now), baseline, name="baseline.json", rules=Rules())
    return found.findings[0].notes


def test_a_clock_that_moved_explains_and_says_nothing_more() -> None:
    assert notes(1410, 1290) == ("SM clock 1290 MHz, 1410 MHz in the baseline (-8.5%)",)
    assert notes(1410, 1405) == notes(None, 1290) == notes(1410, None) == ()
