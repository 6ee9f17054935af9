"""How far the measuring is, and what a test was doing when pytest-timeout ended it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from traceback import walk_tb
from types import TracebackType
from typing import Any

import pytest

from pytest_gpuperf.plugin.collection import measures

EVERY = 10.0  # seconds before the first line of a log ...
LONGER = 1.5  # ... and each pause is longer than the one before it, ...
AT_MOST = 120.0  # ... up to this
DRAW = 0.5  # seconds between two remarks on a terminal
NARROWEST = 20  # columns: less room says nothing


@contextmanager
def phase_named() -> Generator[None]:
    """Add to a timeout's message what took so long, and what to do."""
    try:
        yield
    except pytest.fail.Exception as failed:
        if str(failed).startswith("Timeout"):
            failed.add_note(
                f"gpuperf was {_phase(failed.__traceback__)}: warm-up and measuring count. Give the test more time, "
                f"@pytest.mark.timeout(SECONDS), or let one measurement take less: --gpuperf-budget SECONDS"
            )
        raise


def _phase(traceback: TracebackType | None) -> str:
    from pytest_gpuperf.measure.energy_per_item import measure_energy
    from pytest_gpuperf.measure.find_evidence import Prover
    from pytest_gpuperf.measure.observation import Observer
    from pytest_gpuperf.measure.sampler import Sampler
    from pytest_gpuperf.measure.warmup import warm_up

    phases = {
        Sampler.measure.__code__: "calling it for the first time",
        warm_up.__code__: "warming up",
        Sampler.sample.__code__: "measuring",
        measure_energy.__code__: "measuring energy",
        Prover.prove.__code__: "looking for what shows which device did the work",
        Observer.profile.__code__: "looking at what one call runs",
    }
    running = [frame.f_code for frame, _ in walk_tb(traceback)]
    return next((phases[code] for code in reversed(running) if code in phases), "preparing the call")


@dataclass
class Screen:
    """Where pytest reports, also in the middle of a test, when it captures what the test prints."""

    reporter: Any  # pytest's TerminalReporter: its writer and its file have no public names
    capture: Any  # pytest's CaptureManager, or None
    shown: int = 0  # columns that a remark takes at the moment

    @property
    def live(self) -> bool:
        """Whether somebody watches: a terminal that can take text back, and no CI system, which only keeps it."""
        watched = self.reporter.isatty and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI")
        return bool(watched) and self.reporter.config.option.capture != "no"

    def line(self, text: str) -> None:
        """Write a line of its own."""
        with self._capture_off():
            if self.reporter._tw.width_of_current_line:  # noqa: SLF001 - also a dot that no file's name stands before
                self.reporter._tw.line()  # noqa: SLF001
            self.reporter.currentfspath = None  # the next dot begins a line with its file
            self.reporter.write_line(text)

    def remark(self, text: str, figure: str = "") -> None:
        """Show a text behind what pytest has written in this line; "" shows nothing.

        Where there is little room the text is cut, and never the figure behind it.
        """
        writer = self.reporter._tw  # noqa: SLF001 - what it writes itself it would count as its own
        room = writer.fullwidth - writer.width_of_current_line - 2
        shown = f" {_cut(text, room - len(figure))}{figure}" if text and room >= NARROWEST else ""
        if not shown and not self.shown:
            return
        back = f"\x1b[{self.shown}D\x1b[K" if self.shown else ""
        with self._capture_off():
            writer._file.write(back + shown)  # noqa: SLF001
            writer.flush()
        self.shown = len(shown)

    def _capture_off(self) -> Any:
        return nullcontext() if self.capture is None else self.capture.global_and_fixture_disabled()


class Progress:
    """Counts the tests that measure, and says so."""

    def __init__(self, screen: Screen, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._live = screen.live
        self._total = total
        self._now = now
        self._done = 0
        self._spent = 0.0
        self._last_report = now()
        self._pause = DRAW if self._live else EVERY
        self._test = ""
        self._test_start = self._last_report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if not measures(item):
            return (yield)
        self.begins(item.nodeid)
        try:
            return (yield)
        finally:
            self._clear()
            self.finished()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        self._clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        self._clear()

    def begins(self, test: str) -> None:
        """The next test runs."""
        self._test, self._test_start = test, self._now()

    def sampled(self, samples: Sequence[float]) -> None:
        """Show how far it is, if that is due, when one more block of it was measured."""
        if not self._due():
            return
        from pytest_gpuperf.gate.median_interval import median_half_width
        from pytest_gpuperf.reports.tables import inert, visible

        name = self._test.rpartition("/")[2]
        self._say(inert(visible(name)), f" +-{median_half_width(samples):.1%}")

    def finished(self) -> None:
        """Count the test that has ended."""
        self._done += 1
        self._spent += self._now() - self._test_start
        self._test_start = self._now()
        if self._done < self._total and not self._live and self._due():
            self._say()

    def _due(self) -> bool:
        return self._now() - self._last_report >= self._pause

    def _say(self, doing: str = "", figure: str = "") -> None:
        self._last_report = self._now()
        left = self._left()
        if self._live:
            self._screen.remark(f"{self._done + 1}/{self._total}{left and f', {left}'}: {doing}", figure)
            return
        self._pause = min(self._pause * LONGER, AT_MOST)
        doing = doing and f"; {doing}{figure}"
        self._screen.line(f"gpuperf: {self._done} of {self._total} done{left and f', {left}'}{doing}")

    def _left(self) -> str:
        """The time left, by what the tests before took; nothing during the first one."""
        if not self._done:
            return ""
        seconds = (self._total - self._done) * self._spent / self._done - (self._now() - self._test_start)
        return f"about {_words(max(seconds, 0))} left"

    def _clear(self) -> None:
        if self._live:
            self._screen.remark("")


def progress_of(config: pytest.Config, total: int) -> Progress | None:
    """What says how far this session is; None where it is to be quiet."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.get_verbosity() < -1:
        return None
    return Progress(Screen(reporter, config.pluginmanager.get_plugin("capturemanager")), total)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 3, 0)]}..."


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
