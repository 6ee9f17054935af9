"""Fresh processes that run some tests of this session again, when its main loop has ended."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.plugin.shipped_suites import path_of
from pytest_gpuperf.records.merge import with_sessions_of
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.sessions.process import run_session

# Options that decide what is judged, written or shown, and not what is measured: ours and those of pytest, pytest-cov
# and pytest-xdist.
_OURS = (
    "compare",
    "reference",
    "ab",
    "save",
    "markdown",
    "html",
    "csv",
    "trace",
    "min-decided",
    "confirm",
    "confirm-budget",
)
_WITH_VALUE = frozenset({f"--gpuperf-{name}" for name in _OURS}) | {
    "--junitxml",
    "--junit-xml",
    "--basetemp",
    "--maxfail",
    "--durations",
    "--durations-min",
    "--tb",
    "--color",
    "--log-file",
    "--verbosity",
    "--cov",
    "--cov-report",
    "-n",
    "--numprocesses",
    "-r",
}
_OUR_FLAGS = ("strict", "allow-missing", "allow-environment", "require-proof")
_FLAGS = frozenset({f"--gpuperf-{name}" for name in _OUR_FLAGS}) | {
    "--exitfirst",
    "--lf",
    "--last-failed",
    "--ff",
    "--failed-first",
    "--nf",
    "--new-first",
    "--sw",
    "--stepwise",
    "--pdb",
    "--quiet",
    "--verbose",
    "--showlocals",
    "--no-header",
    "--no-summary",
    "--cache-clear",
}
_SHOWN = re.compile(r"-[qvxsl]+|-r[A-Za-z]+|-n\d+|-nauto")
FRESH_SESSIONS = 2  # a suspect is measured in so many more processes, and what would then fail in as many again
REFERENCES = 3  # unsuspicious cases measured beside the suspects, to see how the fresh processes themselves differ
SLACK = 120.0  # seconds a fresh process may take beyond ...
PATIENCE = 10.0  # ... so many times what its tests took in this one


def arguments_again(config: pytest.Config, tests: Iterable[str], scratch: str) -> list[str]:
    """This session's own options, on these tests alone: node ids, or files.

    Its reports, caches and temporary files go to a scratch folder, so that they do not replace this session's.
    """
    options = [o for o in _options(config) if o != "--pdb"]
    if config.inipath is not None:
        options += ["-c", str(config.inipath)]
    if config.getoption("xmlpath", None):
        options += [f"--junitxml={scratch}/junit.xml"]
    if config.pluginmanager.hasplugin("cacheprovider"):  # else its key is unknown, and an error in a strict project
        options += ["-o", f"cache_dir={scratch}/cache"]
    if config.getoption("basetemp", None):
        options += [f"--basetemp={scratch}/temporary"]
    if config.getoption("log_file", None) or config.getini("log_file"):
        options += [f"--log-file={scratch}/log.txt"]
    options += [f"--rootdir={config.rootpath}"]
    return options + [path_of(test, config.rootpath) for test in tests]


def options_again(config: pytest.Config) -> list[str]:
    """Those of this session's options that a command which people paste has to repeat."""
    return list(_lasting(_options(config)))


def _options(config: pytest.Config) -> list[str]:
    """The arguments that are no paths, as they were typed."""
    paths: list[str] = list(config.option.file_or_dir or ())
    options: list[str] = []
    for argument in reversed([str(a) for a in config.invocation_params.args]):
        if argument in paths:
            paths.remove(argument)  # from the end: an option's value comes before the paths, as people type them
        else:
            options.append(argument)
    return options[::-1]


def _lasting(options: Sequence[str]) -> Iterator[str]:
    left = list(options)
    while left:
        word = left.pop(0)
        name, separator, _ = word.partition("=")
        if name in _WITH_VALUE:
            if not separator and left and not left[0].startswith("-"):  # the value of --cov may be left out
                del left[0]
        elif word not in _FLAGS and not _SHOWN.fullmatch(word):
            yield word


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
        say(config, f"the cause could not be looked up: {str(error).splitlines()[0]}")
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
    """Write it to the terminal, on a line of its own."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(f"gpuperf: {text}")
