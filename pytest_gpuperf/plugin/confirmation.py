"""Measuring suspects again, in fresh processes, when the main loop has ended: only fresh data may fail a test."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Sequence

import pytest

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.plugin.again import arguments_again
from pytest_gpuperf.results.merging import with_sessions_of
from pytest_gpuperf.results.records import Run
from pytest_gpuperf.sessions.process import run_session

FRESH_SESSIONS = 2  # a suspect is measured in so many more processes before it may fail
REFERENCES = 3  # unsuspicious cases measured beside the suspects, to see how the fresh processes themselves differ
SLACK = 120.0  # seconds a fresh process may take beyond ...
PATIENCE = 10.0  # ... so many times what its tests took in this one


def measured_again(
    config: pytest.Config, run: Run, suspicious: Collection[str], known: Collection[str], took: float
) -> tuple[Run, str | None]:
    """The run with what fresh processes measured of the suspects and a few other known cases; or why that failed."""
    tests = _tests_again(run, suspicious, known)
    started = time.monotonic()
    fresh: list[Run] = []
    try:
        for number in range(1, FRESH_SESSIONS + 1):
            _say(config, f"{_counted(tests)} again in a fresh process ({number} of {FRESH_SESSIONS}) ...")
            with tempfile.TemporaryDirectory(prefix="gpuperf-again-") as scratch:
                arguments = arguments_again(config, tests, scratch)
                timeout = SLACK + PATIENCE * took
                fresh.append(
                    run_session(arguments, only=tests, directory=config.invocation_params.dir, timeout=timeout)
                )
    except SessionError as error:
        return with_sessions_of(run, fresh), f"the fresh process failed. {error}"
    _say(config, f"measured again in {time.monotonic() - started:.0f} s")
    return with_sessions_of(run, fresh), None


def _tests_again(run: Run, suspicious: Collection[str], known: Collection[str]) -> list[str]:
    calm = [c.test for c in run.cases if c.id in known and c.id not in suspicious]
    again = {c.test for c in run.cases if c.id in suspicious} | set(calm[:REFERENCES])
    return list(dict.fromkeys(c.test for c in run.cases if c.test in again))


def _counted(tests: Sequence[str]) -> str:
    return "1 test is measured" if len(tests) == 1 else f"{len(tests)} tests are measured"


def _say(config: pytest.Config, text: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(f"gpuperf: {text}")
