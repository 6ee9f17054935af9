"""How far the measuring is, and about how long the rest takes: what pytest's dots do not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import pytest

from pytest_gpuperf.plugin.collection import measures

EVERY = 10.0  # seconds between two lines: logs are read too


class Progress:
    """Writes a line now and then, between two tests."""

    def __init__(self, write: Callable[[str], object], total: int, now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._total = total
        self._now = now
        self._done = 0
        self._spent = 0.0
        self._said = now()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        start = self._now()
        result = yield
        if measures(item):
            self.finished(self._now() - start)
        return result

    def finished(self, seconds: float) -> None:
        """One more is done, after so many seconds."""
        self._done += 1
        self._spent += seconds
        left = self._total - self._done
        if left > 0 and self._now() - self._said >= EVERY:
            self._said = self._now()
            self._write(
                f"gpuperf: {self._done} of {self._total} done, about {_words(left * self._spent / self._done)} left"
            )


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
