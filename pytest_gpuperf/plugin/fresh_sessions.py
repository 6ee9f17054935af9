"""Fresh processes that run some tests of this session again, when its main loop has ended."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import pytest

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.plugin.again import arguments_again
from pytest_gpuperf.results.merging import with_sessions_of
from pytest_gpuperf.results.records import Run
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.sessions.process import run_session

FRESH_SESSIONS = 2  # a suspect is measured in so many more processes, and what would then fail in as many again
REFERENCES = 3  # unsuspicious cases measured beside the suspects, to see how the fresh processes themselves differ
SLACK = 120.0  # seconds a fresh process may take beyond ...
PATIENCE = 10.0  # ... so many times what its tests took in this one


def measured_again(
    config: pytest.Config,
    run: Run,
    suspicious: Collection[str],
    known: Collection[str],
    took: float,
    *,
    would_fail: bool,
) -> tuple[Run, str | None]:
    """The run with what fresh processes measured of the suspects and a few other known cases; or why that failed.

    `would_fail`: they were measured again before, and fail the session unless these processes know better.
    """
    references = _references(run, suspicious, known)
    tests = _tests_of(run, suspicious, references)
    started = time.monotonic()
    fresh: list[Run] = []
    try:
        for number in range(1, FRESH_SESSIONS + 1):
            once = "once more" if would_fail else "again"
            say(config, f"{_counted(tests)} measured {once} in a fresh process ({number} of {FRESH_SESSIONS}) ...")
            # The last one looks at what the suspects run: the main loop is not disturbed.
            last = number == FRESH_SESSIONS and not would_fail
            fresh.append(_fresh(config, tests, took, profiles=last, spared=references))
    except SessionError as error:
        return with_sessions_of(run, fresh), f"the fresh process failed. {error}"
    say(config, f"measured again in {time.monotonic() - started:.0f} s")
    return with_sessions_of(run, fresh), None


def looked_at(config: pytest.Config, run: Run, cases: Collection[str], took: float) -> Run:
    """The run with the profiles of cases that nobody had to measure again. Where that fails they have none."""
    tests = _tests_of(run, cases, ())
    say(config, f"{_counted(tests)} run in a fresh process, to see why ...")
    try:
        looked = _fresh(config, tests, took, profiles=True, look=True)
    except SessionError as error:
        say(config, f"that could not be seen: {str(error).splitlines()[0]}")
        return run
    profiles = {case.id: case.profile for case in looked.cases if case.id in cases}
    return msgspec.structs.replace(
        run, cases=tuple(msgspec.structs.replace(c, profile=profiles.get(c.id, c.profile)) for c in run.cases)
    )


def _fresh(config: pytest.Config, tests: Sequence[str], took: float, **ordered: Any) -> Run:
    """What a fresh process records of these tests."""
    with scratch_folder("again") as scratch:
        return run_session(
            arguments_again(config, tests, str(scratch)),
            only=tests,
            directory=config.invocation_params.dir,
            timeout=SLACK + PATIENCE * took,
            **ordered,
        )


def _references(run: Run, suspicious: Collection[str], known: Collection[str]) -> list[str]:
    suspects = {c.test for c in run.cases if c.id in suspicious}
    calm = [c.test for c in run.cases if c.id in known and c.id not in suspicious]
    return [test for test in calm[:REFERENCES] if test not in suspects]


def _tests_of(run: Run, cases: Collection[str], others: Collection[str]) -> list[str]:
    again = {c.test for c in run.cases if c.id in cases} | set(others)
    return list(dict.fromkeys(c.test for c in run.cases if c.test in again))


def _counted(tests: Sequence[str]) -> str:
    return "1 test is" if len(tests) == 1 else f"{len(tests)} tests are"


def say(config: pytest.Config, text: str) -> None:
    """Tell it in the terminal, on a line of its own."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(f"gpuperf: {text}")
