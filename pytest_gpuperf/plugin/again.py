"""The command line of a fresh pytest process that runs some tests of this session again."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest


def arguments_again(config: pytest.Config, tests: Iterable[str], scratch: str) -> list[str]:
    """This session's own options, on these tests alone: node ids, or files.

    Its reports, caches and temporary files go to a scratch folder, so that they do not replace this session's.
    """
    positional: list[str] = list(config.option.file_or_dir or ())
    options: list[str] = []
    for argument in reversed([str(a) for a in config.invocation_params.args]):
        if argument in positional:
            positional.remove(argument)  # from the end: an option's value comes before the paths, as people type them
        elif argument != "--pdb":
            options.append(argument)
    options.reverse()
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
