"""Being asked to end, by SIGTERM or SIGHUP, as an exception: what must be kept is kept, and what must go goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

_ENDED_BY = (signal.SIGTERM, signal.SIGHUP)


class AskedToEnd(KeyboardInterrupt):
    """The process was asked to end: it cleans up as after Ctrl-C."""


@contextmanager
def ending_in_order() -> Generator[None]:
    """Raise `AskedToEnd` where such a signal would just kill this process.

    A handler that somebody else set stays, and so does a signal that is ignored (`nohup`).
    """

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
        raise AskedToEnd(signal.Signals(number).name)

    deadly = [number for number in _numbers(*_ENDED_BY) if signal.getsignal(number) is signal.SIG_DFL]
    for number in deadly:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in deadly:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Generator[None]:
    """Ignore Ctrl-C and signals that ask to end for a moment, so that nothing stops the cleaning up halfway."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _numbers(signal.SIGINT, *_ENDED_BY)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: set by other than Python


def _numbers(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those that may be handled: in another thread than the main one, none."""
    return numbers if threading.current_thread() is threading.main_thread() else ()
