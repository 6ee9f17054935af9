"""A stage's worker in a process of its own: it gets items through a pipe, and ends with the process that started it.

Tensors of torch travel in shared memory, as between a DataLoader and its workers; everything else is pickled.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread
from time import monotonic, perf_counter, process_time
from typing import Any, NamedTuple

from pytest_gpuperf.errors import MeasurementError, UsageError, WorkloadError

AHEAD = 1  # items that wait at a worker beside the one it works on: it need not wait for the next to travel
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_START = 120.0  # seconds a process may take to import what its function needs
_EXIT = 2.0  # seconds it may take to end after its last item


class Answer(NamedTuple):
    """What a worker sends back; times are on the clock that all processes of a machine share."""

    value: Any
    begin: float
    end: float
    cpu: float  # seconds
    error: str | None = None  # what it raised, with its traceback


class WorkerProcess:
    """One worker process, as the pipeline sees it. Start several of them before you wait for the first."""

    def __init__(self, stage: str, fn: Callable[[Any], Any]) -> None:
        self._stage = stage
        context = get_context("spawn")
        self._pipe, there = context.Pipe()
        packed = _packed(stage, fn)
        # The kernel ends it when the thread that starts it here ends: that thread waits for the whole pipeline.
        self._process = context.Process(
            target=_serve, args=(there, os.getpid(), packed), name=f"gpuperf {stage}", daemon=True
        )
        self._process.start()
        there.close()

    def wait_until_ready(self) -> None:
        """Return when it has imported what its function needs."""
        deadline = monotonic() + _START
        if not self._pipe.poll(max(0.0, deadline - monotonic())):
            raise MeasurementError(
                f"A worker process of stage {self._stage!r} was not ready within {_START:.0f} s. What its function's "
                f"module imports takes too long, or the machine is too busy to start it."
            )
        problem = self.receive()
        if problem is not None:
            raise UsageError(
                f"A worker process cannot import the function of stage {self._stage!r}: {problem}\nPut the function "
                f'into a module that can be imported, or run the stage in threads: where="thread".'
            )

    def send(self, value: Any) -> None:
        """Hand it an item."""
        try:
            packed = ForkingPickler.dumps(value)
        except Exception as error:
            raise WorkloadError(
                f"An item cannot be sent to the worker process of stage {self._stage!r}: {error}. Give it something "
                f'that can be pickled, or run the stage in threads: where="thread".'
            ) from error
        try:
            self._pipe.send_bytes(packed)
        except OSError as error:
            raise self._death() from error

    def receive(self) -> Any:
        """Wait for what it sends."""
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error

    def kill(self) -> None:
        """End it at once: whoever waits for it gives up."""
        self._process.kill()

    def close(self) -> None:
        """End it, when nobody uses it any more."""
        self._pipe.close()  # it reads that nothing more will come
        self._process.join(_EXIT)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _death(self) -> MeasurementError:
        self._process.join(_EXIT)
        code = self._process.exitcode
        how = "lost its pipe" if code is None else f"ended with code {code}"
        if code is not None and code < 0:
            how = f"was ended by signal {-code} ({signal.Signals(-code).name})"
        memory = " Too little memory is the usual cause: dmesg | tail" if code == -signal.SIGKILL else ""
        return MeasurementError(f"A worker process of stage {self._stage!r} {how} in the middle of its work.{memory}")


def _packed(stage: str, fn: Callable[[Any], Any]) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(fn))
    except Exception as error:
        raise UsageError(
            f"The function of stage {stage!r} cannot be sent to a process ({error}): it is pickled, so it has to be "
            f"defined at the top of a module, with no lambda and no open file in it. Move it there, or run the stage "
            f'in threads: where="thread".'
        ) from error


def _serve(pipe: Connection, parent: int, packed: bytes) -> None:  # pragma: no cover - runs in the worker process
    """What the process does, from its start to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it, who then ends it
    _die_with(parent)
    try:
        fn: Callable[[Any], Any] = pickle.loads(packed)  # noqa: S301 - our parent sends it
    except BaseException as error:  # noqa: BLE001 - whatever an import may raise
        pipe.send(f"{type(error).__name__}: {error}")
        return
    if "torch" in sys.modules:  # as in a DataLoader's workers: each of them with a thread a core would be too many
        sys.modules["torch"].set_num_threads(1)
    with suppress(OSError):
        pipe.send(None)
        inbox: SimpleQueue[tuple[Any] | None] = SimpleQueue()
        Thread(target=_receive, args=(pipe, inbox), daemon=True).start()
        while (item := inbox.get()) is not None:
            pipe.send_bytes(_answer(fn, *item))


def _receive(pipe: Connection, inbox: SimpleQueue[tuple[Any] | None]) -> None:  # pragma: no cover - likewise
    """Take items in while the function works, or two that wait for each other's large message would never end."""
    try:
        while True:
            inbox.put((pipe.recv(),))
    except (EOFError, OSError):
        inbox.put(None)


def _answer(fn: Callable[[Any], Any], item: Any) -> bytes:  # pragma: no cover - likewise
    begin, worked = perf_counter(), process_time()
    try:
        value, error = fn(item), None
    except Exception:  # noqa: BLE001 - the pipeline reports it
        value, error = None, traceback.format_exc()
    end, worked = perf_counter(), process_time() - worked
    try:
        return bytes(ForkingPickler.dumps(Answer(value, begin, end, worked, error)))
    except Exception:  # noqa: BLE001 - likewise
        text = f"its result cannot be pickled\n{traceback.format_exc()}"
        return bytes(ForkingPickler.dumps(Answer(None, begin, end, worked, text)))


def _die_with(parent: int) -> None:  # pragma: no cover - likewise
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
