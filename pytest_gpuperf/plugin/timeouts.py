"""What a test was doing when pytest-timeout ended it, which counts warm-up and measuring as the test's own time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from traceback import walk_tb
from types import TracebackType

import pytest


@contextmanager
def phase_named() -> Generator[None]:
    """Add to a timeout's message what took so long, and what to do."""
    try:
        yield
    except pytest.fail.Exception as failed:
        if str(failed).startswith("Timeout"):
            failed.add_note(
                f"gpuperf was {_phase(failed.__traceback__)}: warm-up and measuring count. Give the test more time, "
                f"@pytest.mark.timeout(SECONDS), or let one measurement take less: --gpuperf-budget SECONDS"
            )
        raise


def _phase(traceback: TracebackType | None) -> str:
    from pytest_gpuperf.measurement.energy import measure_energy
    from pytest_gpuperf.measurement.proving import Prover
    from pytest_gpuperf.measurement.sampler import measure, sample
    from pytest_gpuperf.measurement.truth import Truth
    from pytest_gpuperf.measurement.warmup import warm_up

    phases = {
        measure.__code__: "calling it for the first time",
        warm_up.__code__: "warming up",
        sample.__code__: "measuring",
        measure_energy.__code__: "measuring energy",
        Prover.prove.__code__: "looking for what shows which device did the work",
        Truth.profile.__code__: "looking at what one call runs",
    }
    running = [frame.f_code for frame, _ in walk_tb(traceback)]
    return next((phases[code] for code in reversed(running) if code in phases), "preparing the call")
