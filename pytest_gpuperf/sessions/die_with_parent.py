"""Start a program that ends when its parent ends, whatever ended that: ``python leash.py PARENT PROGRAM ARGUMENTS...``

A process that is killed cannot end what it started. This one stays between both: the kernel tells it that the parent is
gone (PR_SET_PDEATHSIG), and it ends the program with every process of its group, workers of a data loader among them.
That reaches whatever did not leave the group. If this process is killed itself, the kernel ends the program.

It runs as a file, with nothing but the standard library. The kernel's signal comes when the *thread* that started this
process ends, so start it from one that lasts.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_SIGNALS = {signal.SIGTERM, signal.SIGCHLD}  # the parent is gone, or the program is
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def on_leash(command: Sequence[str]) -> list[str]:
    """The command, on a leash: it ends when this process ends, and so does its group if it is started as its leader."""
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def _main(parent: int, program: list[str]) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _die_with(parent, signal.SIGTERM)
    own = os.getpid()
    child = os.fork()
    if not child:
        _die_with(own, signal.SIGKILL)
        for number in _IGNORED_BY_PYTHON:  # the program would inherit it
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(program[0], program)  # noqa: S606 - without a shell, on purpose
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's
    for number in map(int, os.listdir("/proc/self/fd")):  # the program's channels are its own  # noqa: PTH208
        if number > sys.stderr.fileno():
            with suppress(OSError):
                os.close(number)
    while True:
        if signal.sigwait(_SIGNALS) == signal.SIGTERM:
            _end(child)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _end_alike(os.waitstatus_to_exitcode(status))


def _die_with(parent: int, number: int) -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)


def _end(child: int) -> NoReturn:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)  # the group is somebody else's
    os._exit(1)


def _end_alike(code: int) -> NoReturn:
    """End as the program did, so that whoever waits learns of it."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core is enough
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
