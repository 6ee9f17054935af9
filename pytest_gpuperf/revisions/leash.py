"""Start a program that the kernel ends when its parent ends: ``python leash.py PARENT PROGRAM ARGUMENTS...``

A conductor that is killed cannot end its processes any more. Run as a file, with nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG: kept by the program that replaces this one

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - without a shell, on purpose
