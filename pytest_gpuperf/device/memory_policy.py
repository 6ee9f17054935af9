"""On which NUMA nodes the kernel puts this process's memory, and starting a program with processors and memory chosen.

    python memory_policy.py CPUS MODE NODES PROGRAM ARGUMENTS...      CPUS and NODES as the kernel lists them: 0-3,8

A process's first threads and first memory are placed when it starts, and torch's stay where they are. So a placement is
chosen before the program, which inherits both. This runs as a file, with nothing but the standard library, and calls
the kernel as libnuma and numactl do; neither has to be installed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Collection, Sequence
from typing import NoReturn

MODES = {name: n for n, name in enumerate(("default", "preferred", "bind", "interleave", "local", "preferred many"))}
_FLAGS = 0xE000  # a mode's upper bits: how its nodes are counted
_NAMES = {number: name for name, number in MODES.items()}
_CALLS = {"x86_64": (238, 239), "aarch64": (237, 236)}  # set_mempolicy, get_mempolicy
_BITS = 1024  # nodes that a kernel may be built for
_WORD = 64


def read_policy() -> tuple[str, tuple[int, ...]]:
    """The policy's name and its nodes; OSError where the kernel or a container's rules forbid the question."""
    mode, mask = ctypes.c_int(), (ctypes.c_ulong * (_BITS // _WORD))()
    _call_kernel(1, ctypes.byref(mode), mask, ctypes.c_ulong(_BITS), None, ctypes.c_ulong(0))
    name = _NAMES.get(mode.value & ~_FLAGS, f"mode {mode.value}")
    return name, tuple(i for i in range(_BITS) if mask[i // _WORD] >> i % _WORD & 1)


def set_policy(name: str, nodes: Collection[int]) -> None:
    """Put this process's memory on these nodes from now on; OSError where that is forbidden, or not possible."""
    mask = (ctypes.c_ulong * (_BITS // _WORD))()
    for node in nodes:
        mask[node // _WORD] |= 1 << node % _WORD
    _call_kernel(0, ctypes.c_long(MODES[name]), mask, ctypes.c_ulong(_BITS))


def _call_kernel(which: int, *arguments: object) -> None:
    numbers = _CALLS.get(platform.machine())
    if numbers is None:
        raise OSError(f"the numbers of these system calls on {platform.machine()} are not known here")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(numbers[which]), *arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def numbers_in(text: str) -> tuple[int, ...]:
    """As the kernel lists processors and nodes: ``0-3,8``; nothing in an empty text."""
    parts = [part.partition("-") for part in text.strip().split(",") if part]
    return tuple(i for first, _, last in parts for i in range(int(first), int(last or first) + 1))


def listed(numbers: Collection[int]) -> str:
    """The same the other way round."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def start(cpus: Collection[int], mode: str, nodes: Collection[int], program: Sequence[str]) -> NoReturn:
    """Become the program, on these processors and with this memory; "default" leaves memory as it is."""
    os.sched_setaffinity(0, cpus)
    if mode != "default":
        set_policy(mode, nodes)
    os.execvp(program[0], list(program))  # noqa: S606 - without a shell, on purpose


def _main(cpus: str, mode: str, nodes: str, *program: str) -> NoReturn:
    try:
        start(numbers_in(cpus), mode, numbers_in(nodes), program)
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started on CPUs {cpus} with memory {mode} {nodes}: {error.strerror or error}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
