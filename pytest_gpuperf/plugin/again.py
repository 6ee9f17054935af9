"""The command line of a fresh pytest process that runs some tests of this session again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

import pytest

# What says what is judged, written or shown, and not what is measured: of us, of pytest, of pytest-cov and xdist.
_OURS = ("compare", "reference", "ab", "save", "markdown", "html", "csv", "min-decided", "confirm", "confirm-budget")
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
    return options + [os.path.join(config.rootpath, test) for test in tests]  # noqa: PTH118 - a node id is no path


def options_again(config: pytest.Config) -> list[str]:
    """Those of this session's options that a command which people paste has to repeat."""
    return list(_lasting(_options(config)))


def _options(config: pytest.Config) -> list[str]:
    """What is no path, as it was typed."""
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
