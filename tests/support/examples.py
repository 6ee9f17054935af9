"""Small plausible records to start from."""

from __future__ import annotations

from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    Measurement,
    Run,
    Series,
    Session,
)

DEVICE = Device(kind="cuda", name="Tesla T4", memory=15 * 2**30, capability="7.5", power_limit=70.0)
ENVIRONMENT = Environment(device=DEVICE, software={"torch": "2.15.0", "driver": "595.71"})


def a_session(number: int) -> Session:
    """Session s0, s1, ... of consecutive days."""
    return Session(
        id=f"s{number}",
        time=f"2026-{1 + number // 28:02}-{1 + number % 28:02}T02:00:00Z",
        revision="abc123",
        canaries={"copy": (0.001, 0.0011)},
    )


def a_measurement(session: int, level: float = 0.01, **changes: object) -> Measurement:
    """32 samples around a level."""
    fields: dict[str, object] = {
        "session": f"s{session}",
        "items": 8,
        "clock": "cuda-event",
        "blocks": tuple(tuple(level * (1 + 0.001 * ((i * 7 + j) % 5)) for j in range(4)) for i in range(8)),
        "span_calls": 3,
        "ended": "steady",
        "interval": 0.002,
        "peak_memory": 2**30,
    }
    return Measurement(**(fields | changes))


def a_run(*sessions: int, cases: tuple[str, ...] = ("a",), level: float = 0.01, **changes: object) -> Run:
    """A run of these sessions (one process each, after confirmations)."""
    return Run(
        environment=ENVIRONMENT,
        sessions=tuple(a_session(n) for n in sessions),
        cases=tuple(
            Case(
                id=f"tests/test_x.py::test[{c}]",
                test=f"tests/test_x.py::test[{c}]",
                measurements=tuple(a_measurement(n, level, **changes) for n in sessions),
            )
            for c in cases
        ),
    )


def a_baseline(*sessions: int, cases: tuple[str, ...] = ("a", "b"), level: float = 0.01) -> Baseline:
    """These sessions of each case."""
    return Baseline(
        provenance="measured",
        environment=ENVIRONMENT,
        sessions=tuple(a_session(n) for n in sessions),
        cases=tuple(
            Accepted(
                id=f"tests/test_x.py::test[{c}]",
                test=f"tests/test_x.py::test[{c}]",
                items=8,
                clock="cuda-event",
                series=tuple(Series(session=f"s{n}", count=32, medians=(level, level * 1.001)) for n in sessions),
            )
            for c in cases
        ),
    )
